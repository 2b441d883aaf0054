#!/usr/bin/env bash
# One golden test of a command line:   run_case.sh CASE BIN
#
# CASE is a folder tests/cli/<tool>/<case>/ with `cmd`, a piece of bash, and what it must give: `stdout`, `stderr` and
# `exit`; an absent file stands for empty, and for exit code 0. `cmd` runs in an empty folder with BIN first in PATH;
# $CASE is the case's folder and $SOURCE the repository. UPDATE=1 rewrites the expected files instead of comparing.
#
# What differs between machines is replaced before comparing: <case>, <source> and <tmp> for these folders, <version>
# for "0.1.0 (abc1234)", <time> for a log line's time of day, <seconds> for "1.2 s" at the end of a line.
set -uo pipefail
export LC_ALL=C LANG=C NO_COLOR=1 OMP_WAIT_POLICY=PASSIVE
CASE=$(realpath "$1")
SOURCE=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
PATH=$(realpath "$2"):$PATH
export CASE SOURCE PATH
[[ -e $CASE/cmd ]] || { echo "run_case: error: $CASE has no cmd" >&2; exit 66; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/work" "$tmp/got"
rc=0
(cd "$tmp/work" && COLUMNS=120 bash -eu "$CASE/cmd" </dev/null) >"$tmp/stdout" 2>"$tmp/stderr" || rc=$?

for stream in stdout stderr; do
  sed -E -e "s#$CASE#<case>#g; s#$tmp/work#<tmp>#g; s#$SOURCE#<source>#g" \
    -e 's/[0-9]+\.[0-9]+\.[0-9]+ \((unknown|[0-9a-f]{7,40}(-dirty)?)\)/<version>/g' \
    -e 's/^[0-9]{2}:[0-9]{2}:[0-9]{2} /<time> /; s/[0-9]+(\.[0-9]+)? s$/<seconds>/' \
    "$tmp/$stream" >"$tmp/got/$stream"
done
(( rc == 0 )) || echo "$rc" >"$tmp/got/exit"

failed=0
for name in stdout stderr exit; do
  got=$tmp/got/$name
  [[ -s $got ]] || got=/dev/null
  if [[ -n ${UPDATE:-} ]]; then
    if [[ $got == /dev/null ]]; then rm -f "$CASE/$name"; else cp "$got" "$CASE/$name"; fi
    continue
  fi
  wanted=$CASE/$name
  [[ -e $wanted ]] || wanted=/dev/null
  if ! cmp -s "$wanted" "$got"; then
    failed=1
    echo "$name differs (-expected +got); after a wanted change: make update-golden"
    diff -u "$wanted" "$got" | tail -n +3
  fi
done
exit "$failed"
