#!/usr/bin/env bash
# scripts/check_sources.sh finds each kind of citation that leads nowhere, names file and line, and accepts what resolves.
set -uo pipefail
source_dir=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
# shellcheck source=tests/cli/check.sh
source "$source_dir/tests/cli/check.sh"
OUTPUT=$TMP/output
tree=$TMP/tree

# tree_with FILE LINE...   a tree with two documents and this one file, checked
tree_with() {
  local file=$1
  shift
  rm -rf "$tree"
  mkdir -p "$tree/lib/nn" "$tree/lib/model/one" "$tree/$(dirname "$file")"
  cat >"$tree/lib/nn/REFERENCE.md" <<'END'
# Layers

| alias | repository | commit |
|---|---|---|
| tv | pytorch/vision | b3054b4d |

## 1. ResNet
### 1.2 Norms
## 2. FPN
END
  printf '%s\n' '# One' '## 3. Losses' '## Vectors' "See \`lib/nn/REFERENCE.md\` 2." >"$tree/lib/model/one/REFERENCE.md"
  printf '%s\n' "$@" >>"$tree/$file"
  rc=0
  "$source_dir/scripts/check_sources.sh" "$tree" >"$OUTPUT" 2>&1 || rc=$?
}

allowed() { tree_with "$@"; expect "allowed: $*" same "$rc" 0; }
refused() { tree_with "$@"; expect "refused: $*" same "$rc" 1; expect "it is named: $*" grep -q "^$1:[0-9]*: " "$OUTPUT"; }

# Our own documents.
allowed lib/nn/a.h '/// Pads. Source: REFERENCE.md 1.2.'
allowed lib/nn/a.h '/// Source: REFERENCE.md 1 and 2; lib/model/one/REFERENCE.md "Vectors".'
allowed lib/nn/a.h '/// Source: REFERENCE.md 1 to 2 (see there).' '/// Another sentence; this one cites nothing.'
allowed tests/unit/a_test.cpp '// Vectors of lib/model/one/REFERENCE.md, "Vectors".'
allowed lib/model/one/a.cpp 'int x;  // as the reference (REFERENCE.md 3)'
allowed README.md 'The [losses](lib/model/one/REFERENCE.md#3-losses) and [layers](lib/nn/REFERENCE.md).'
refused lib/nn/a.h '#pragma once' '/// Source: REFERENCE.md 3.'
expect "the line is the line" has "$OUTPUT" "lib/nn/a.h:2: lib/nn/REFERENCE.md has no section 3"
refused lib/nn/a.h '/// Source: REFERENCE.md 1, 7.'
refused lib/nn/a.h '/// Source: REFERENCE.md.'
refused lib/nn/a.h '/// Sizes as in REFERENCE.md, "Pooling".'
refused lib/model/a.h '/// Source: REFERENCE.md 1.'
refused lib/model/a.h '/// Source: lib/two/REFERENCE.md 1.'
refused lib/model/one/REFERENCE.md "See \`lib/nn/REFERENCE.md\` 9."
refused README.md 'The [losses](lib/model/one/REFERENCE.md#4-losses).'
refused README.md 'See [this](lib/nn/METHOD.md).'

# Public files.
allowed lib/nn/a.h '/// Source: tv:torchvision/models/resnet.py.'
allowed lib/nn/a.h '/// Source: REFERENCE.md 1;' '/// tv:torchvision/{models,ops}/resnet.py, class X.'
allowed scripts/a.py '# Source: tv:torchvision/models/resnet.py'
refused lib/nn/a.h '/// Source: REFERENCE.md 1, torchvision/models/resnet.py.'
refused lib/nn/a.h '/// Source: d2:detectron2/modeling/backbone/fpn.py.'
refused lib/nn/a.h '/// As in d2:detectron2/modeling/backbone/fpn.py.'
refused pipelines/a.json '{"about": "source configs/SOLOv2/README.md"}'
refused pipelines/a.json '{"about": "base by configs/SOLOv2/R50_3x.yaml"}'
allowed pipelines/a.json '{"about": "base by tv:configs/SOLOv2/R50_3x.yaml"}'
refused lib/nn/REFERENCE.md '| alias | repository | commit |' '|---|---|---|' '| d2 | facebookresearch/detectron2 | HEAD |'
refused lib/nn/REFERENCE.md '| alias | repository | commit |' '|---|---|---|' '| tv | pytorch/vision | 0123456 |'

# Papers.
allowed lib/nn/a.h '/// Source: Lin et al., "Focal Loss", Eq. (5).'
allowed lib/nn/a.h '/// Source: SOLOv2 paper, section "Matrix NMS"; Liu et al., "Swin", section 3.2. Odd blocks are shifted.'
allowed lib/nn/a.h '/// Source: LVIS paper, appendix B.2, threshold' '/// 0.001 there. 0 gives 1; for all.'
refused lib/nn/a.h '/// Source: Lin et al., "Focal Loss".'
refused lib/nn/a.h '/// Source: the paper.'
refused lib/nn/a.h '/// Source: REFERENCE.md 1; see the paper.'

# Documents that are elsewhere.
for name in models design style engine evidence; do refused lib/nn/a.h "/// As in $name.md."; done
refused lib/nn/a.h '/// Applied alike (design: "pairs").'
refused lib/nn/a.h '// Numbers of ../shared/oracle.'
refused tests/unit/a_test.cpp '// Numbers of ../shared/notes.'
allowed tests/unit/a_test.cpp '// Numbers of ../shared/oracle and ../shared/data/coco-mini; std::shared_ptr is another thing.'

expect "a folder without lib/ is misused" same "$(rc=0; "$source_dir/scripts/check_sources.sh" "$TMP/none" >/dev/null 2>&1 || rc=$?; echo "$rc")" 64
check_end
