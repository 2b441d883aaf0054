# What the shell tests share: expect, check_end and a temporary folder $TMP that goes away.
# shellcheck shell=bash
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
checks=0
failures=0

# expect WHAT COMMAND...   WHAT is a claim; COMMAND must succeed for it to hold
expect() {
  local what=$1
  shift
  checks=$((checks + 1))
  "$@" && return
  failures=$((failures + 1))
  echo "FAILED: $what  [${*@Q}]"
  [[ ! -e ${OUTPUT:-} ]] || sed 's/^/    | /' "$OUTPUT"
}

has() { grep -qF -- "$2" "$1"; }
has_not() { ! grep -qF -- "$2" "$1"; }
same() { [[ $1 == "$2" ]] || { echo "    \"$1\" is not \"$2\""; return 1; }; }

check_end() {
  echo "$checks checks, $failures failed"
  (( checks > 0 && failures == 0 ))
}
