#!/usr/bin/env bash
# Formats C++ with .clang-format: the files given, else those that differ from the last commit, new ones included.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
files=("$@")
if (( ! $# )); then
  mapfile -t files < <({ git diff --name-only --diff-filter=d HEAD; git ls-files --others --exclude-standard; } |
    grep -E '\.(h|cpp)$' | sort -u)
fi
(( ! ${#files[@]} )) || clang-format -i --style=file "${files[@]}"
echo "format: ${#files[@]} files" >&2
