#!/usr/bin/env bash
# The evidence recipe with stand-in tools: what a plan stands for, what is wrong with one, and that shells share the work.
# usage: evidence_test.sh FOLDER_OF_TOOLS
set -uo pipefail
source_dir=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
# shellcheck source=tests/cli/check.sh
source "$source_dir/tests/cli/check.sh"
unset DRY DEVICE BUILD DATA FACADES COCO_MINI CONFIG THREADS RESULTS

export CALLS=$TMP/calls RUNS=$TMP/runs TOOLS=$TMP/bin PLAN=$TMP/plan.txt
RESULTS_FILE=$RUNS/evidence/results.jsonl
mkdir "$TMP/bin"
# One for all tools. A training takes SLOW seconds; the one of seed 9 fails, that of seed 75 is interrupted.
cat >"$TMP/bin/iuq-train" <<'END'
#!/usr/bin/env bash
tool=$(basename "$0") output=
[[ $tool == iuq-info || " $* " == *" --print-config "* ]] || echo "$tool $*" >>"$CALLS"
[[ " $* " != *"--set model.wrong=1"* ]] || { echo 'iuq-train: error: config: "model.wrong" is unknown' >&2; exit 78; }
for (( i = 1; i < $#; ++i )); do [[ ${!i} != -o ]] || { next=$((i + 1)); output=${!next}; }; done
case $tool in
  iuq-info) for word in "$@"; do [[ $word != --get* ]] || echo 5; done ;;
  iuq-synth) mkdir -p "$output/annotations" "$output/images"; touch "$output"/annotations/instances_{train,val}.json ;;
  iuq-train)
    [[ " $* " != *" --print-config "* ]] || exit 0
    [[ " $* " != *" --seed 9 "* ]] || exit 65
    [[ " $* " != *" --seed 75 "* ]] || exit 75
    sleep "${SLOW:-0}"
    mkdir -p "$output"
    printf '{"data":{"images":40,"instances":90},"step":0}\n' >"$output/metrics.jsonl"
    printf '{"seconds":4.0,"step":%d}\n' 10 20 30 >>"$output/metrics.jsonl"
    touch "$output/model.safetensors" ;;
  *) touch "$output" ;;
esac
END
chmod +x "$TMP/bin/iuq-train"
for tool in synth predict eval info; do ln -s iuq-train "$TMP/bin/iuq-$tool"; done

# evidence PLAN_TEXT [NAME=VALUE...]   runs it from nothing
evidence() {
  printf '%s\n' "$1" >"$PLAN"
  shift
  rm -rf "$RUNS"
  again "$@"
}
again() {
  : >"$CALLS"
  rc=0
  env "$@" "$source_dir/pipelines/evidence.sh" 2>"$TMP/stderr" || rc=$?
}
trainings() { grep -c '^iuq-train' "$CALLS"; }
ONE="model=solov2 data=lookalikes images=60 steps=30 seed=1 mode=control"

evidence "# a comment
$ONE
model=condinst,sotr data=crowded images=60,200 steps=30 seed=1,2 mode=control,equi # and another" DRY=1
expect "a plan can be looked at" same "$rc" 0
expect "lists stand for every combination" same "$(grep -c 'would train' "$TMP/stderr")" 17
expect "modes of a seed follow one another" same "$(sed -n 's/.*would train //p' "$TMP/stderr" | sed -n 2,4p | tr '\n' ' ')" \
  "condinst-small-crowded-60-30-scratch-control-default-1 condinst-small-crowded-60-30-scratch-equi-default-1 condinst-small-crowded-60-30-scratch-control-default-2 "
expect "a look makes nothing" test ! -e "$RUNS"

# wrong WORD...   the last line of the plan, which must be refused with these words beside its number
wrong() {
  evidence "$ONE"$'\n'"$1"
  expect "refused with 78: $1" same "$rc" 78
  expect "says line and fault: $1" has "$TMP/stderr" "error: $PLAN:2: $2"
  expect "nothing is trained: $1" same "$(trainings)" 0
}
wrong "solov2 60 3000 control 3" '"solov2" is not KEY=VALUE'
wrong "${ONE/solov2/yolo}" 'model=yolo, must be one of solov2 condinst sotr mask2former'
wrong "${ONE/lookalikes/cityscapes}" 'data=cityscapes, must be one of'
wrong "${ONE/steps=30/steps=3k}" 'steps=3k, must be a number'
wrong "${ONE/images=60/images=all}" 'images=all of data that is drawn'
wrong "${ONE/steps=30/}" 'steps= is missing'
wrong "$ONE epochs=3" '"epochs" is unknown'
wrong "$ONE" 'solov2-small-lookalikes-60-30-scratch-control-default-1 stands in line 1 already'
wrong "$ONE set=train.lr=1" 'set= needs form='
wrong "${ONE/seed=1/seed=2} form=mw2" 'form=mw2 needs set='
wrong "${ONE/seed=1/seed=2} form=x set=model.name=\"x\"" '"set=model.name="x"" is not set=KEY=VALUE without quotes'
wrong "${ONE/seed=1/seed=2} start=continued" 'start=continued needs base='
wrong "${ONE/seed=1/seed=2} form=x set=model.wrong=1" 'config: "model.wrong" is unknown'
wrong "${ONE/lookalikes/facades}" 'set FACADES to the folder'
evidence '# nothing'
expect "a plan of nothing is refused" same "$rc" 78
rm "$PLAN"
again
expect "a plan that is missing is no input" same "$rc" 66

evidence "$ONE"$'\n'"${ONE/control/equi} form=mw2 set=model.mask_weight=2 set=train.lr=0.001"
expect "two trainings run" same "$rc $(trainings)" "0 2"
expect "settings get to the training" has "$CALLS" "--set train.steps=30 --set model.mask_weight=2 --set train.lr=0.001"
expect "drawn data have the images asked for" has "$CALLS" "--set synth.images=60"
expect "a line of the results each" same "$(wc -l <"$RESULTS_FILE")" 2
expect "seconds and the median of a step" has "$RESULTS_FILE" '"seconds": 12, "step_ms": 400,'
expect "lines are JSON" python3 -c 'import json, sys; [json.loads(line) for line in open(sys.argv[1])]' "$RESULTS_FILE"
again
expect "a second run trains nothing" same "$rc $(trainings)" "0 0"
rm -r "$RUNS"/evidence/solov2*
again
expect "nor with the results alone" same "$rc $(trainings)" "0 0"

printf '{"model": "solov2", "size": "r18w16", "regime": "lookalikes-1-60", "data": "synth", "start": "scratch", "source": "images", "mode": "%s", "form": "default", "mask_weight": 1, "seed": 3, "ap": 0.5, "ap50": 0.8, "ap75": 0.6, "seconds": 300, "steps": 30, "settings": "", "config_digest": "f1"}\n' control equi >"$TMP/old.jsonl"
evidence "${ONE/seed=1/seed=3}" DRY=1 RESULTS="$TMP/old.jsonl"
expect "lines of the first form are known" same "$(grep -c 'would train' "$TMP/stderr")" 0

mkdir -p "$TMP/photos/annotations" "$TMP/photos/images"
touch "$TMP"/photos/annotations/instances_{train,val}.json
evidence "${ONE/data=lookalikes images=60/data=folder images=40,all}" DATA="$TMP/photos"
expect "a folder trains" same "$rc $(trainings)" "0 2"
expect "a part of its images is a setting" same "$(grep -c -- '--set train.images=40' "$CALLS")" 1
expect "the results name the folder" has "$RESULTS_FILE" '"regime": "photos-all", "data": "photos", "images": "all"'

evidence "${ONE/seed=1/seed=1,9,2}"
expect "a failure does not stop the others" same "$rc $(wc -l <"$RESULTS_FILE")" "1 2"
expect "and is told with its log" has "$TMP/stderr" "-9 failed with exit code 65; its log is $RUNS/evidence/solov2-"
evidence "${ONE/seed=1/seed=1,75,2}"
expect "an interruption stops, to be gone on with" same "$rc $(wc -l <"$RESULTS_FILE")" "75 1"

CONTINUED="${ONE/seed=1/seed=1,2,3} start=continued base=90"
evidence "$CONTINUED"
expect "continued: one base and three trainings" same "$rc $(trainings)" "0 4"
expect "from the base's weights" same "$(grep -c -- "--weights $RUNS/evidence/solov2-small-lookalikes-60-90-scratch-base-default-1/model" "$CALLS")" 3
expect "and the base is listed too" same "$(grep -c '"mode": "base"' "$RESULTS_FILE")" 1

# Two shells: nothing is trained twice, and the one that has to wait for the base does its share or ends well.
printf '%s\n' "$CONTINUED" "${ONE/seed=1/seed=1,2,3}" >"$PLAN"
rm -rf "$RUNS"
: >"$CALLS"
export SLOW=0.3
"$source_dir/pipelines/evidence.sh" 2>"$TMP/first" & one=$!
"$source_dir/pipelines/evidence.sh" 2>"$TMP/second" & two=$!
rcs=
wait "$one"; rcs+=$?
wait "$two"; rcs+=$?
expect "two shells end well" same "$rcs" 00
expect "each training was done once" same "$(trainings) $(wc -l <"$RESULTS_FILE") $(sort -u "$RESULTS_FILE" | wc -l)" "7 7 7"
expect "both had a share" test "$(grep -c 'evidence: solov2' "$TMP/first")" -gt 0 -a "$(grep -c 'evidence: solov2' "$TMP/second")" -gt 0

# Killed in the middle of its work, when a line has been written: the rest is trained, and no line comes twice.
rm -rf "$RUNS"
setsid "$source_dir/pipelines/evidence.sh" 2>/dev/null & one=$!
until [[ -s $RESULTS_FILE ]] || ! kill -0 "$one"; do sleep 0.05; done
kill -9 -- "-$one"
wait "$one" 2>/dev/null
again
expect "after a kill the rest is trained" same "$rc $(wc -l <"$RESULTS_FILE") $(sort -u "$RESULTS_FILE" | wc -l)" "0 7 7"

check_end
