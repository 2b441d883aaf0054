#!/usr/bin/env bash
# What pipelines/launch/slurm.sh promises, on a real Slurm of two nodes: the same as local.sh, and requeueing.
set -uo pipefail
source_dir=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
# shellcheck source=tests/cli/check.sh
source "$source_dir/tests/cli/check.sh"
# shellcheck source=tests/slurm/cluster.sh
source "$source_dir/tests/slurm/cluster.sh"
unset ONLY FROM TO DRY FORCE MODEL SHARDS RECIPE BUILD SLURM_OPTIONS
cd "$TMP" || exit
OUTPUT=$TMP/output
launch=$source_dir/pipelines/launch/slurm.sh

run() { rc=0; "$@" >"$OUTPUT" 2>&1 || rc=$?; }
wait_for() { for _ in {1..600}; do "$@" && return; sleep 0.1; done; return 1; }

run "$launch" 1 "$TMP/one.log" -- sh -c 'echo out; echo err >&2; exit 3'
expect "the exit code is the command's" same "$rc" 3
expect "stdout and stderr go to the log" same "$(grep -c -xE 'out|err' "$TMP/one.log")" 2
expect "the log ends with the exit code" same "$(tail -n 1 "$TMP/one.log")" "# exit 3"
expect "the end of a failed task's log is shown" has "$OUTPUT" "err"

run "$launch" 4 "$TMP/many.log" -- sh -c 'echo "task {i} of {n}"; exit {i}'
expect "the highest exit code counts" same "$rc" 3
expect "each task has its log" has "$TMP/many.2.log" "task 2 of 4"
expect "the failed tasks are named" has "$OUTPUT" "ONLY=1,2,3"
rm "$TMP"/many.*.log
run env ONLY=2 "$launch" 4 "$TMP/many.log" -- sh -c 'echo "task {i} of {n}"'
expect "ONLY runs this one alone, under its own number and of the same n" same "$(cat "$TMP"/many.*.log | grep ^task)" "task 2 of 4"
expect "and succeeds" same "$rc" 0
run "$launch" 1 "$TMP/quoting.log" -- printf '%s\n' 'a  b' "it's" '*'
expect "arguments arrive as they are" same "$(grep -cxF -e 'a  b' -e "it's" -e '*' "$TMP/quoting.log")" 3
run env SLURM_OPTIONS="-p nowhere" "$launch" 1 "$TMP/none.log" -- true
expect "a job that cannot be submitted is exit 69" same "$rc" 69

# A tool that is told to stop at its time limit, commits, and goes on when it is run again.
cat >"$TMP/polite" <<'EOS'
if [[ -e $1.committed ]]; then echo "resumed"; exit 0; fi
trap 'sleep 0.2; touch "$1.committed"; exit 75' TERM
touch "$1.begun"
while :; do sleep 0.05; done
EOS
"$launch" 2 "$TMP/again.log" -- bash "$TMP/polite" "$TMP/again.{i}" 2>"$OUTPUT" &
pid=$!
expect "both tasks begin" wait_for test -e "$TMP/again.0.begun" -a -e "$TMP/again.1.begun"
expect "the job's number is said" wait_for grep -q "slurm.sh: job" "$OUTPUT"
job=$(sed -n 's/.*slurm.sh: job \([0-9]*\),.*/\1/p' "$OUTPUT")
scancel --batch --signal=USR1 "${job}_1"
expect "the one near its limit commits" wait_for test -e "$TMP/again.1.committed"
expect "and is queued again" wait_for bash -c "[[ \$(squeue -h -t PENDING -o %K) == 1 ]]"
expect "the other one goes on" same "$(squeue -h -t RUNNING -o %K)" 0
# Slurm lets a requeued job wait two minutes, counted from the end of the first run: so it is asked to hurry repeatedly.
hurry() { scontrol update jobid="${job}_1" StartTime=now 2>/dev/null; sleep 0.4; grep -q resumed "$TMP/again.1.log"; }
expect "it resumes" wait_for hurry
kill -TERM "$pid"
rc=0
wait "$pid" || rc=$?
expect "TERM to the launcher lets the other commit" test -e "$TMP/again.0.committed"
expect "and 75 comes back" same "$rc" 75
expect "nothing is queued any more" same "$(squeue -h)" ""

# A task that still waits in the queue is not waited for.
rm -f "$TMP"/again.*
SLURM_OPTIONS="-c 8" "$launch" 3 "$TMP/queue.log" -- bash "$TMP/polite" "$TMP/again.{i}" 2>"$OUTPUT" &
pid=$!
expect "two of three tasks begin" wait_for test -e "$TMP/again.0.begun" -a -e "$TMP/again.1.begun"
kill -TERM "$pid"
rc=0
wait "$pid" || rc=$?
expect "a launcher with queued tasks ends with 75 as well" same "$rc" 75
expect "the running ones have committed" test -e "$TMP/again.0.committed" -a -e "$TMP/again.1.committed"
expect "the queued one was not begun" test ! -e "$TMP/again.2.begun"

# A recipe on the cluster makes what it makes here.
mkdir "$TMP/bin"
for tool in train cache eval; do ln -s "$source_dir/tests/cli/stand_in.sh" "$TMP/bin/iuq-$tool"; done
echo '{}' >"$TMP/mini.json"
cat >"$TMP/mini.sh" <<EOS
source "$source_dir/pipelines/common.sh"
stage 10-train -n 1 "\$CONFIG" -- iuq-train --resume -o "\$RUN/base"
stage 20-features -n 3 "\$(done_file 10-train)" -- iuq-cache --shard {i}/{n} -o "\$RUN/features"
EOS
export CALLS=$TMP/calls
run env RUNS="$TMP/runs" TOOLS="$TMP/bin" LAUNCH="$launch" bash "$TMP/mini.sh"
expect "a recipe runs under Slurm" same "$rc" 0
expect "each shard is made" same "$(echo "$TMP"/runs/mini/features/*)" \
  "$(printf "$TMP/runs/mini/features/shard-%03d-of-003.h5 " 0 1 2 | sed 's/ $//')"
run env RUNS="$TMP/runs" TOOLS="$TMP/bin" bash "$TMP/mini.sh"
expect "a stage done under Slurm is done here" has "$OUTPUT" "20-features: up to date"

check_end
