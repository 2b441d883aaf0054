# What the fault tests share. Sourced with the folder of the tools in $1; works in a fresh folder that is removed.
# shellcheck shell=bash
set -euo pipefail
export LC_ALL=C OMP_WAIT_POLICY=PASSIVE
# shellcheck disable=SC2034  # used by the tests
SOURCE=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
TOOLS=$(realpath "$1")
PATH=$TOOLS:$PATH
WORK=$(mktemp -d)
trap 'chmod -R u+w "$WORK" 2>/dev/null; rm -rf "$WORK"' EXIT
cd "$WORK"
failures=0

fail() { echo "FAILED: $*" >&2; failures=$((failures + 1)); }

# expect CODE PATTERN OUTPUT -- CMD...   CMD exits with CODE, says exactly one error, which matches PATTERN, and leaves
# neither OUTPUT nor anything half-written beside it.
expect() {
  local code=$1 pattern=$2 output=$3 rc=0 errors
  shift 4
  "$@" >stdout.txt 2>stderr.txt || rc=$?
  errors=$(grep -c 'error: ' stderr.txt || true)
  if (( rc != code )); then fail "exit $rc instead of $code: $*"; cat stderr.txt >&2; fi
  if (( errors != 1 )); then fail "$errors error lines: $*"; cat stderr.txt >&2; fi
  if ! grep -qE -- "$pattern" stderr.txt; then fail "no /$pattern/ from: $*"; cat stderr.txt >&2; fi
  if compgen -G "$output*" >/dev/null; then fail "left $(echo "$output"*): $*"; rm -rf "${output:?}"*; fi
}

finish() {
  (( failures == 0 )) || { echo "$failures checks failed" >&2; exit 1; }
  echo "all checks passed"
}
