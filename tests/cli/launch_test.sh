#!/usr/bin/env bash
# What pipelines/launch/local.sh promises; tests/slurm/launch_test.sh asks the same of slurm.sh.
set -uo pipefail
source_dir=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
# shellcheck source=tests/cli/check.sh
source "$source_dir/tests/cli/check.sh"
unset ONLY LOCAL_JOBS
OUTPUT=$TMP/output
launch=$source_dir/pipelines/launch/local.sh

run() { rc=0; "$@" >"$OUTPUT" 2>&1 || rc=$?; }

# A tool that stops politely: commits, then exits 75.
cat >"$TMP/polite" <<'EOS'
trap 'sleep 0.2; echo "committed by $1" >&2; exit 75' TERM INT
echo begun >&2; touch "$2"
while :; do sleep 0.05; done
EOS

run "$launch" 1 "$TMP/one.log" -- sh -c 'echo out; echo err >&2; exit 3'
expect "the exit code is the command's" same "$rc" 3
expect "stdout goes to the log" has "$TMP/one.log" out
expect "stdout is not shown" has_not "$OUTPUT" out
expect "stderr goes to the log" has "$TMP/one.log" err
expect "stderr is shown" has "$OUTPUT" err
expect "the log ends with the exit code" same "$(tail -n 1 "$TMP/one.log")" "# exit 3"
run "$launch" 1 "$TMP/one.log" -- true
expect "a log is appended to" same "$(grep -c '^# exit' "$TMP/one.log")" 2

run "$launch" 4 "$TMP/many.log" -- sh -c 'echo "task {i} of {n}"; exit {i}'
expect "the highest exit code counts" same "$rc" 3
expect "each task has its log" has "$TMP/many.2.log" "task 2 of 4"
expect "the failed tasks are named" has "$OUTPUT" "ONLY=1,2,3"
rm "$TMP"/many.*.log
run env ONLY=0,2 LOCAL_JOBS=2 "$launch" 4 "$TMP/many.log" -- sh -c 'echo "task {i} of {n}"'
expect "ONLY runs these alone" same "$(cat "$TMP"/many.*.log | grep -c '^task [02] of 4')" 2
# shellcheck disable=SC2016  # for sh
run "$launch" 2 "$TMP/mixed.log" -- sh -c 'exit $((75 - {i} * 10))'
expect "a real error outranks an interruption" same "$rc" 65
run "$launch" 1 "$TMP/quoting.log" -- printf '%s\n' 'a  b' "it's" '*'
expect "arguments arrive as they are" same "$(grep -cxF -e 'a  b' -e "it's" -e '*' "$TMP/quoting.log")" 3
run "$launch" 1 "$TMP/none.log" -- no-such-program
expect "a program that is not there is a failure" same "$rc" 127
run "$launch" 0 "$TMP/none.log" -- true
expect "wrong arguments are a usage error" same "$rc" 64

# end_by SIGNAL   sends it to $pid once that has begun, INT as a terminal does, to the whole group, TERM as a batch system
# does, to one process; sets rc to what it ends with
end_by() {
  until [[ -e $TMP/begun ]]; do sleep 0.05; done
  if [[ $1 == INT ]]; then kill -INT -- "-$pid"; else kill -TERM "$pid"; fi
  rc=0
  wait "$pid" || rc=$?
}
for signal in TERM INT; do
  rm -f "$TMP/begun"
  env --default-signal=INT setsid "$launch" 1 "$TMP/$signal.log" -- bash "$TMP/polite" "$signal" "$TMP/begun" 2>"$OUTPUT" &
  pid=$!
  end_by "$signal"
  expect "$signal is passed on, and 75 comes back" same "$rc" 75
  expect "$signal lets the tool finish" has "$TMP/$signal.log" "committed by $signal"
  expect "what it says at the end is still shown" has "$OUTPUT" "committed by $signal"
done
rm -f "$TMP/begun"
env setsid "$launch" 3 "$TMP/stop.log" -- bash "$TMP/polite" TERM "$TMP/begun" 2>"$OUTPUT" &
pid=$!
end_by TERM
expect "no task is begun after a signal" test ! -e "$TMP/stop.1.log"
expect "and the whole can be resumed" same "$rc" 75

# The same through a recipe: what a person at a terminal gets from Ctrl-C during `make run`.
echo '{}' >"$TMP/mini.json"
mkdir "$TMP/bin"
ln -s "$source_dir/tests/cli/stand_in.sh" "$TMP/bin/iuq-eval"
cat >"$TMP/mini.sh" <<EOS
source "$source_dir/pipelines/common.sh"
stage 10-long "\$CONFIG" -- bash "$TMP/polite" recipe "$TMP/begun"
EOS
for signal in TERM INT; do
  rm -rf "$TMP/begun" "$TMP/runs"
  env --default-signal=INT RUNS="$TMP/runs" TOOLS="$TMP/bin" setsid bash "$TMP/mini.sh" 2>"$OUTPUT" &
  pid=$!
  end_by "$signal"
  expect "a recipe ends with 75 on $signal" same "$rc" 75
  expect "a recipe waits for its tool on $signal" has "$OUTPUT" "committed by recipe"
  expect "and says how to go on" has "$OUTPUT" "10-long: interrupted; the same command goes on from here"
  expect "an interrupted stage has no stamp" test ! -e "$TMP/runs/mini/stamps/10-long.done"
done

check_end
