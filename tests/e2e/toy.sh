#!/usr/bin/env bash
# The toy recipe from data to summary, with the AP it must reach. A second run must find all stages up to date.
# usage: toy.sh FOLDER_OF_TOOLS
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.."
TOOLS=$(realpath "$1")
RUNS=$(mktemp -d)
export TOOLS RUNS
trap 'rm -rf "$RUNS"' EXIT
pipelines/toy.sh

# at_least NAME VALUE   a number of summary.json
at_least() {
  local number
  number=$(grep -oE "\"$1\": [-0-9.e]+" "$RUNS/toy/summary.json" | sed -n 1p | cut -d ' ' -f 2)
  awk -v x="$number" -v y="$2" 'BEGIN { exit !(x >= y) }' || { echo "FAILED: $1 is $number, expected at least $2" >&2; exit 1; }
}
at_least base_ap 0.30
at_least control_ap 0.30
at_least method_ap 0.30
for name in base control method; do [[ -s $RUNS/toy/$name/contact.png ]] || { echo "FAILED: no pictures of $name" >&2; exit 1; }; done

again=$(pipelines/toy.sh 2>&1 >/dev/null)
if grep -v 'up to date' <<<"$again" >&2; then echo "FAILED: the second run did something" >&2; exit 1; fi
echo "all checks passed"
