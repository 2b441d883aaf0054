#!/usr/bin/env bash
# kill -9 in the middle of training, then --resume: the same metrics from there on, and the same weights.
# usage: kill_train.sh FOLDER_OF_TOOLS
# shellcheck source=tests/fault/common.sh
source "$(dirname "$0")/common.sh"
CONFIG=$SOURCE/tests/support/tiny.json
iuq-synth -q -c "$CONFIG" -o scenes
train=(iuq-train -q -c "$CONFIG" --threads 1 --annotations scenes/annotations/instances_train.json --images scenes/images)

# The numbers that must not depend on the interruption: all but times and rates.
numbers() { sed -E 's/"(seconds|images_per_second)":[^,}]*,?//g' "$1"; }
weights() { tail -c +"$(( $(od -An -tu8 -N8 "$1") + 9 ))" "$1" | sha256sum; }  # without the header and its provenance

"${train[@]}" -o whole
for wait_for in 5 15 25; do
  rm -rf killed
  "${train[@]}" -o killed & pid=$!
  # A checkpoint and then some more: the kill lands between checkpoints, or inside one.
  until compgen -G "killed/checkpoints/step-000000*$wait_for" >/dev/null || ! kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
  kill -9 "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  [[ ! -e killed/model.safetensors ]] || { echo "skipped: it was done before the kill"; continue; }
  rc=0
  "${train[@]}" -o killed 2>/dev/null || rc=$?
  (( rc == 73 )) || fail "an unfinished run without --resume exits $rc, not 73"
  "${train[@]}" -o killed --resume
  diff <(numbers whole/metrics.jsonl) <(numbers killed/metrics.jsonl) >&2 || fail "metrics differ after kill at $wait_for"
  [[ $(weights whole/model.safetensors) == "$(weights killed/model.safetensors)" ]] || fail "weights differ after kill at $wait_for"
done

# Two at once in one folder: the second is refused, the first is not disturbed.
rm -rf busy
"${train[@]}" -o busy & pid=$!
until [[ -e busy/checkpoints ]]; do sleep 0.02; done
rc=0
"${train[@]}" -o busy --force 2>message || rc=$?
(( rc == 73 )) || fail "a second run in the same folder exits $rc, not 73"
grep -q "another process is at work" message || fail "a second run is told: $(<message)"
wait "$pid" || fail "a run is disturbed by another"
[[ $(weights whole/model.safetensors) == "$(weights busy/model.safetensors)" ]] || fail "a run is changed by another"

# A signal that can be caught: a checkpoint of the last step, exit 75.
rm -rf stopped
"${train[@]}" -o stopped 2>/dev/null & pid=$!
until [[ -e stopped/checkpoints/step-00000005/DONE ]]; do sleep 0.02; done
kill -TERM "$pid"
rc=0
wait "$pid" || rc=$?
(( rc == 75 )) || fail "TERM gives exit $rc, not 75"
"${train[@]}" -o stopped --resume
diff <(numbers whole/metrics.jsonl) <(numbers stopped/metrics.jsonl) >&2 || fail "metrics differ after TERM"
finish
