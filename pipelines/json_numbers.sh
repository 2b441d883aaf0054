#!/usr/bin/env bash
# Prints the numbers of a JSON file as "path<TAB>number", one per line: {"stats": {"AP": 0.4}} -> stats.AP 0.4
# Recipes read a handful of results with it, so that they need neither jq nor Python where they run.
set -euo pipefail
export LC_ALL=C
# One token per line; a string's tokens keep their quotes.
grep -oE '"([^"\\]|\\.)*"|[][{}:,]|[^][{}:," 	]+' "$1" | awk '
  function name(i,   path) {
    path = ""
    for (i = 1; i <= depth; ++i) path = path (i > 1 ? "." : "") key[i]
    return path
  }
  $0 == "{" || $0 == "[" { kind[++depth] = $0; key[depth] = 0; is_key = $0 == "{"; next }
  $0 == "}" || $0 == "]" { --depth; is_key = 0; next }
  $0 == ":" { is_key = 0; next }
  $0 == "," { if (kind[depth] == "{") is_key = 1; else ++key[depth]; next }
  is_key { key[depth] = substr($0, 2, length($0) - 2); next }
  /^-?[0-9]/ { print name() "\t" $0 }
'
