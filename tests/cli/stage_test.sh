#!/usr/bin/env bash
# What `stage` of pipelines/common.sh promises.
set -uo pipefail
source_dir=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
# shellcheck source=tests/cli/check.sh
source "$source_dir/tests/cli/check.sh"
unset FROM TO DRY FORCE REPLACE MODEL SHARDS LAUNCH RECIPE BUILD ONLY

export CALLS=$TMP/calls RUNS=$TMP/runs TOOLS=$TMP/bin
OUTPUT=$TMP/output
RUN=$RUNS/mini
mkdir "$TMP/bin"
for tool in synth train eval cache; do ln -s "$source_dir/tests/cli/stand_in.sh" "$TMP/bin/iuq-$tool"; done
echo '{"seed": 1}' >"$TMP/mini.json"
echo one >"$TMP/input"
cat >"$TMP/mini.sh" <<EOS
set -euo pipefail
source "$source_dir/pipelines/common.sh"
stage 10-data "\$CONFIG" "$TMP/input" -- iuq-synth "\${CONFIG_FLAGS[@]}" -o "\$RUN/scenes"
stage 20-train -n 1 "\$(done_file 10-data)" -- iuq-train --variant "\$(variant base)" --resume -o "\$RUN/base"
stage 30-many -n 3 "\$(done_file 20-train)" -- iuq-cache --shard {i}/{n} -o "\$RUN/features"
EOS

# mini NAME=VALUE...   runs the recipe with these settings; sets rc, and the tools called in $CALLS
mini() {
  : >"$CALLS"
  rc=0
  env "$@" bash "$TMP/mini.sh" >"$OUTPUT" 2>&1 || rc=$?
}
called() { cut -d ' ' -f 1 "$CALLS" | tr '\n' ' '; }

mini
expect "a first run succeeds" same "$rc" 0
expect "a first run calls every tool, and each of n tasks" same "$(called)" "iuq-synth iuq-train iuq-cache iuq-cache iuq-cache "
expect "{i} and {n} are the task's number and count" has "$CALLS" "--shard 2/3"
expect "stderr is in the log" has "$RUN/logs/20-train.log" "iuq-train: working"
expect "stderr is shown" has "$OUTPUT" "iuq-train: working"
expect "a log opens with the command" has "$RUN/logs/20-train.log" "'iuq-train' '--variant' 'base'"
expect "a log closes with the exit code" same "$(tail -n 1 "$RUN/logs/20-train.log")" "# exit 0"
expect "tasks have logs of their own" has "$RUN/logs/30-many.1.log" "'1/3'"
expect "seconds are recorded for each stage" same "$(cut -f 1,3 "$RUN/seconds.tsv" | tr '\t\n' '  ')" "10-data 0 20-train 0 30-many 0 "

mini
expect "a second run calls nothing" same "$(called)" ""
expect "a second run says why" has "$OUTPUT" "20-train: up to date"

touch "$TMP/input"
mini
expect "a newer time alone changes nothing" same "$(called)" ""

echo two >"$TMP/input"
mini
expect "another content runs the stage and those after it" same "$(called)" "iuq-synth iuq-train iuq-cache iuq-cache iuq-cache "

sed -i 's/--resume/--seed 4 --resume/' "$TMP/mini.sh"
mini
expect "another command runs the stage and those after it" same "$(called)" "iuq-train iuq-cache iuq-cache iuq-cache "

mini FORCE=1 FROM=20 TO=20
expect "FORCE runs what is up to date" same "$(called)" "iuq-train "
expect "FORCE is passed on, and nothing is resumed" has "$CALLS" "iuq-train --variant base --seed 4 -o $RUN/base --force"

echo three >"$TMP/input"
mini STAND_IN_TRAIN=65
expect "a failing tool's exit code is the recipe's" same "$rc" 65
expect "nothing runs after a failure" same "$(called)" "iuq-synth iuq-train "
expect "a failed stage has no stamp" test ! -e "$RUN/stamps/20-train.done"
expect "a failure names the log" has "$OUTPUT" "20-train failed with exit code 65; its log is $RUN/logs/20-train.log"
mini STAND_IN_TRAIN=75
expect "an interrupted stage has no stamp" test ! -e "$RUN/stamps/20-train.done"
expect "an interruption is no error" has_not "$OUTPUT" "error"
mini
expect "a failed stage runs again, the done ones do not" same "$(called)" "iuq-train iuq-cache iuq-cache iuq-cache "

echo four >"$TMP/input"
mini STAND_IN_TRAIN=73once
expect "a training of an older config is not dropped unasked" same "$rc" 73
expect "the way out is said" has "$OUTPUT" "REPLACE=1 drops it, RUNS=folder keeps both"
mini STAND_IN_TRAIN=73once REPLACE=1
expect "a training is replaced when that is asked for" same "$rc" 0
expect "it is asked for without force first" same "$(grep -c -- '^iuq-train.*--resume' "$CALLS")" 1
expect "then with it" same "$(grep -c -- '^iuq-train.*--force' "$CALLS")" 1
echo 'four again' >"$TMP/input"
mini STAND_IN_CACHE=73once
expect "other outputs of an older config are replaced unasked" same "$rc" 0
mini FORCE=1 STAND_IN_TRAIN=73
expect "force that does not help is a failure" same "$rc" 73

mini
mini DRY=1
expect "DRY calls nothing when all is up to date" same "$(called)" ""
echo five >"$TMP/input"
mini DRY=1
expect "DRY calls nothing when something would run" same "$(called)" ""
expect "DRY shows the command" has "$OUTPUT" "10-data: would run: 'iuq-synth'"
expect "DRY knows that what follows would run too" has "$OUTPUT" "30-many: would run"
expect "DRY leaves the stamps" test -e "$RUN/stamps/10-data.done"

mini FROM=20 TO=20-train FORCE=1
expect "FROM and TO select by number or name" same "$(called)" "iuq-train "
mini FROM=x
expect "a FROM that is no stage is a usage error" same "$rc" 64
rm -r "$RUN"
mini FROM=20
expect "a missing input is an error" same "$rc" 66
expect "it names the stage to run" has "$OUTPUT" "run stage 10-data first"

mini MODEL=solov2
expect "MODEL has a run folder of its own" test -e "$RUNS/mini-solov2/stamps/30-many.done"
expect "MODEL is a variant for every tool with a config" has "$CALLS" "iuq-synth -c $TMP/mini.json --variant solov2"
expect "MODEL comes before the stage's own variant" has "$CALLS" "--variant solov2,base"

check_end
