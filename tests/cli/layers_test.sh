#!/usr/bin/env bash
# scripts/check_layers.sh finds each kind of violation, names file and line, and accepts what is allowed.
set -uo pipefail
source_dir=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
# shellcheck source=tests/cli/check.sh
source "$source_dir/tests/cli/check.sh"
OUTPUT=$TMP/output
tree=$TMP/tree

# tree_with FILE LINE...   a tree with this one file, checked
tree_with() {
  local file=$1
  shift
  rm -rf "$tree"
  mkdir -p "$tree/lib" "$tree/tools" "$(dirname "$tree/$file")"
  printf '%s\n' "$@" >"$tree/$file"
  rc=0
  "$source_dir/scripts/check_layers.sh" "$tree" >"$OUTPUT" 2>&1 || rc=$?
}

allowed() { tree_with "$@"; expect "allowed: $*" same "$rc" 0; }
refused() { tree_with "$@"; expect "refused: $*" same "$rc" 1; expect "it is named: $*" grep -q "^$1:[0-9]*: " "$OUTPUT"; }

allowed lib/data/a.cpp '#include "lib/io/b.h"' '#include "lib/mask/c.h"' '#include <opencv2/core.hpp>'
allowed lib/eval/a.cpp '#include "lib/mask/c.h"' '#include "lib/eval/d.h"'
allowed lib/view/a.h '#include <ATen/core/Tensor.h>'
allowed lib/train/a.cpp '#include <torch/torch.h>' '#include "lib/uniq/a.h"'
allowed lib/io/a.cpp '#include <hdf5.h>'
allowed lib/weights/a.cpp '#include "lib/io/b.h"' '#include "lib/weights/a.h"'
allowed tools/a.cpp '#include <CLI/CLI.hpp>' '#include "tools/cli/tool.h"' '#include "lib/infer/a.h"'
refused lib/base/a.h '#include "lib/io/b.h"'
refused lib/data/a.cpp '// first' '#include "lib/eval/b.h"'
expect "the line is the line" has "$OUTPUT" "lib/data/a.cpp:2:"
refused lib/cache/a.cpp '#include "lib/model/b.h"'
refused lib/infer/a.cpp '#  include "lib/train/b.h"'
refused lib/weights/a.cpp '#include "lib/nn/b.h"'
refused lib/weights/a.cpp '#include "lib/model/b.h"'
refused lib/weights/a.cpp '#include "lib/mask/b.h"'
refused lib/weights/a.cpp '#include <ATen/core/Tensor.h>'
refused lib/nn/a.cpp '#include "tools/cli/tool.h"'
refused lib/nn/a.cpp '#include "b.h"'
refused lib/nn/a.cpp '#include <opencv2/core.hpp>'
refused lib/cache/a.cpp '#include <hdf5.h>'
refused lib/cache/a.cpp '#include <H5Ppublic.h>'
refused lib/base/a.cpp '#include <CLI/CLI.hpp>'
refused lib/eval/a.cpp '#include <ATen/ATen.h>'
refused lib/data/a.cpp '#include <torch/types.h>'
refused lib/nn/a.h '#include <torch/torch.h>'
refused lib/misc/a.h ''
mapfile -t lines < <(seq 81)
refused tools/a.cpp "${lines[@]/#/// }"
mapfile -t lines < <(seq 601)
refused lib/nn/a.cpp "${lines[@]/#/// }"
tree_with lib/nn/a.cpp "${lines[@]:1}"
expect "600 lines are allowed" same "$rc" 0

check_end
