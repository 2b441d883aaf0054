#!/usr/bin/env bash
# The evidence recipe with the real tools on trainings of seconds: from scratch and continued, on drawn data and on a folder,
# killed and gone on with, with a line of results that has every number.
# usage: evidence.sh FOLDER_OF_TOOLS [PLAN]
# With PLAN: rehearses its lines on this machine instead, two steps of equi each, so that the day with a GPU needs one command.
set -euo pipefail
export LC_ALL=C
source_dir=$(realpath "$(dirname "$0")/../..")
TOOLS=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TOOLS RUNS=$work/runs PLAN=$work/plan.txt CONFIG=$work/evidence.json
unset DRY DEVICE DATA FACADES COCO_MINI RESULTS
fail() { echo "FAILED: $1" >&2; tail -n 5 "$RUNS"/evidence/*.log >&2 || true; exit 1; }
evidence() { "$source_dir/pipelines/evidence.sh"; }

if [[ -n ${2:-} ]]; then
  # One training of each line, on data that are drawn in a second and in small batches.
  sed -E 's/images=[0-9,]+/images=20/; s/steps=[0-9,]+/steps=2/; s/seed=([0-9]+)[0-9,]*/seed=\1/; s/mode=[a-z,]+/mode=equi/' "$2" |
    awk '!seen[$0]++' >"$PLAN"
  sed 's/"val_images": 400/"val_images": 4/; s/"batch": 16/"batch": 4/' "$source_dir/pipelines/evidence.json" >"$CONFIG"
  evidence || fail "the rehearsal"
  trained=$(wc -l <"$RUNS/evidence/results.jsonl") wanted=$(DRY=1 RESULTS=$work/none evidence 2>&1 | wc -l)
  (( trained == wanted && trained > 0 )) || fail "$trained of $wanted trainings have a line"
  echo "all checks passed: $trained trainings rehearsed"
  exit 0
fi

# The tiny model, and variants for all that a plan can name here.
sed 's/"base": {"train": {"pairs": false}.*/"base": {"train": {"pairs": false}}, "small": {}, "lookalikes": {}, "folder": {}, "control": {},\n    "equi": {"uniq": {"equi_weight": 1}},/
  s/"inter_weight": 1, "equi_weight": 3, //' "$source_dir/tests/support/tiny.json" >"$CONFIG"
cat >"$PLAN" <<'END'
model=solov2 data=lookalikes images=8 steps=40 seed=1 mode=control,equi
model=solov2 data=lookalikes images=8 steps=4 seed=1 mode=equi start=continued base=5 form=mw2 set=model.mask_weight=2
model=solov2 data=folder images=3 steps=4 seed=1 mode=control
END
results=$RUNS/evidence/results.jsonl
export DATA=$work/photos
iuq_synth() { "$TOOLS/iuq-synth" -c "$CONFIG" -q "$@"; }
iuq_synth -o "$DATA"

# Killed within the first training, after a checkpoint.
first=$RUNS/evidence/solov2-small-lookalikes-8-40-scratch-control-default-1
setsid "$source_dir/pipelines/evidence.sh" 2>/dev/null & pid=$!
until compgen -G "$first/checkpoints/*/DONE" >/dev/null || ! kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
kill -9 -- "-$pid" 2>/dev/null || true
wait "$pid" 2>/dev/null || true
[[ ! -e $results ]] || fail "it was done before the kill"
evidence || fail "it does not go on after a kill"
(( $(wc -l <"$results") == 5 )) || fail "$(wc -l <"$results") lines of 4 trainings and a base"
[[ $(sed -n 's/.*"step":\([0-9]*\).*/\1/p' "$first/metrics.jsonl" | sort -n | uniq -d) == "" ]] || fail "steps were trained twice"

# line REGIME START MODE   must be in the results, and have all numbers
line() {
  local keys=(ap ap50 ap75 aps apm apl ap_boundary tide.class tide.loc tide.missed seconds step_ms images_seen mask_weight lr
    config_digest iuq) got
  grep "\"regime\": \"$1\".*\"start\": \"$2\".*\"mode\": \"$3\"" "$results" >"$work/line.json" || fail "no line $*"
  got=$("$TOOLS/iuq-info" "${keys[@]/#/--get=}" "$work/line.json") || fail "$*: a number is missing"
  [[ $(grep -c . <<<"$got") == "${#keys[@]}" ]] || fail "$*: a number is empty"
}
line lookalikes-1-8 scratch control
[[ $("$TOOLS/iuq-info" --get ap "$work/line.json") == "$("$TOOLS/iuq-info" --get stats.AP "$first/ap.json")" ]] || fail "AP is another"
line lookalikes-1-8 scratch equi
line lookalikes-1-8 scratch base
line photos-3 scratch control
line lookalikes-1-8 continued equi
[[ $("$TOOLS/iuq-info" --get mask_weight --get steps --get images_seen "$work/line.json") == $'2.0\n4\n16' ]] ||
  fail "the continued training has not its own settings: $(<"$work/line.json")"
python3 "$source_dir/scripts/evidence_table.py" "$results" | grep -F '| photos-3 | solov2 |' >/dev/null || fail "the table lacks a training"
evidence 2>"$work/again" || fail "a second run"
[[ ! -s $work/again ]] || fail "a second run does something: $(<"$work/again")"
echo "all checks passed"
