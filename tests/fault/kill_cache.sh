#!/usr/bin/env bash
# kill -9 at random moments of iuq-cache, --resume until it is done: the same content as an undisturbed run; shards too.
# usage: kill_cache.sh FOLDER_OF_TOOLS
# shellcheck source=tests/fault/common.sh
source "$(dirname "$0")/common.sh"
CONFIG=$SOURCE/tests/support/tiny.json
iuq-synth -q -c "$CONFIG" --set synth.images=400 --set synth.val_images=1 -o scenes
common=(--annotations scenes/annotations/instances_train.json --images scenes/images)
iuq-train -q -c "$CONFIG" --set train.steps=1 --threads 1 "${common[@]}" -o trained
cache=(iuq-cache -q -c "$CONFIG" --threads 1 "${common[@]}" --model trained/model.safetensors)

content() { iuq-info --json "$1" | grep -o '"content_digest":"[0-9a-f]*"'; }

"${cache[@]}" -o whole.h5
iuq-info --check --deep whole.h5 >/dev/null || fail "a finished cache is not whole"

kills=0
for (( try = 0; try < 60; ++try )); do
  "${cache[@]}" --resume -o killed.h5 & pid=$!
  ms=$(( 200 + 50 * try + RANDOM % 400 ))  # later and later, so that it ends on a slow machine, too
  sleep "$(( ms / 1000 )).$(printf '%03d' $(( ms % 1000 )))"
  kill -9 "$pid" 2>/dev/null && kills=$((kills + 1))
  wait "$pid" 2>/dev/null || true
  [[ ! -e killed.h5 ]] || break
  if [[ -e killed.h5.partial ]]; then
    rc=0
    iuq-info --check killed.h5.partial >info.txt || rc=$?
    if (( rc != 1 )) || ! grep -q "not complete" info.txt; then fail "a partial file is not recognised: $(cat info.txt)"; fi
    expect 73 '--resume' no-such-output -- "${cache[@]}" -o killed.h5
  fi
done
"${cache[@]}" --resume -o killed.h5
echo "killed $kills times"
(( kills > 0 )) || fail "no kill hit the run"
[[ ! -e killed.h5.partial ]] || fail "the partial file is still there"
[[ $(content killed.h5) == "$(content whole.h5)" ]] || fail "the content differs after $kills kills"
iuq-info --check --deep killed.h5 >/dev/null || fail "a resumed cache is not whole"

# A signal that can be caught ends between images, exit 75.
"${cache[@]}" -o stopped.h5 2>stderr.txt & pid=$!
until [[ -e stopped.h5.partial ]] || ! kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
sleep 0.1
kill -TERM "$pid"
rc=0
wait "$pid" || rc=$?
(( rc == 75 )) || fail "TERM gives exit $rc, not 75"
grep -q -- --resume stderr.txt || fail "TERM does not say how to go on"
"${cache[@]}" --resume -o stopped.h5
[[ $(content stopped.h5) == "$(content whole.h5)" ]] || fail "the content differs after TERM"

# Three shards mine what the whole cache mines; a shard that is missing is named.
for shard in 0 1 2; do "${cache[@]}" --shard "$shard/3" -o shards; done
mine=(iuq-mine -q -c "$CONFIG" --threads 1 --annotations "${common[1]}" --model trained/model.safetensors)
"${mine[@]}" --features whole.h5 -o whole.negatives.h5
"${mine[@]}" --features shards -o shards.negatives.h5
[[ $(content whole.negatives.h5) == "$(content shards.negatives.h5)" ]] || fail "negatives of shards differ from those of one file"
rm shards/shard-001-of-003.h5
expect 65 'missing: shard-001-of-003.h5' missing.negatives.h5 -- "${mine[@]}" --features shards -o missing.negatives.h5
finish
