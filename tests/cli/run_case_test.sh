#!/usr/bin/env bash
# The golden runner itself: it passes on equal, fails on each kind of difference, and rewrites when told.
set -uo pipefail
source_dir=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
# shellcheck source=tests/cli/check.sh
source "$source_dir/tests/cli/check.sh"
unset UPDATE
OUTPUT=$TMP/output
mkdir -p "$TMP/case" "$TMP/bin"
# shellcheck disable=SC2016  # for sh
printf '#!/bin/sh\necho "$1 0.1.0 (abc1234-dirty)"\necho "12:34:56 iuq-x: error: $PWD, $2" >&2\nexit 65\n' >"$TMP/bin/iuq-x"
chmod +x "$TMP/bin/iuq-x"
# shellcheck disable=SC2016  # $CASE is for the case
echo 'iuq-x hello "$CASE/input"' >"$TMP/case/cmd"

run() { rc=0; "$@" "$source_dir/tests/cli/run_case.sh" "$TMP/case" "$TMP/bin" >"$OUTPUT" 2>&1 || rc=$?; }

run env
expect "a case without expected files fails" same "$rc" 1
run env UPDATE=1
expect "UPDATE succeeds" same "$rc" 0
expect "versions are replaced" same "$(<"$TMP/case/stdout")" "hello <version>"
expect "times and folders are replaced" same "$(<"$TMP/case/stderr")" "<time> iuq-x: error: <tmp>, <case>/input"
expect "the exit code is kept" same "$(<"$TMP/case/exit")" 65
run env
expect "equal passes" same "$rc" 0
for name in stdout stderr exit; do
  mv "$TMP/case/$name" "$TMP/kept"
  echo other >"$TMP/case/$name"
  run env
  expect "another $name fails" same "$rc" 1
  expect "the diff shows it" has "$OUTPUT" "-other"
  mv "$TMP/kept" "$TMP/case/$name"
done

check_end
