#!/usr/bin/env bash
# Checks the includes of lib/ and tools/ against the layer picture: an area includes only areas on lower lines, siblings
# never see each other, and each foreign library stays behind its wall. Also the sizes: 600 lines a file, 80 a tool.
#
#   scripts/check_layers.sh [ROOT]     prints FILE:LINE: what is wrong; exit 1 when anything is, 64 without lib/
set -euo pipefail
export LC_ALL=C
root=${1:-$(dirname "${BASH_SOURCE[0]}")/..}
if [[ ! -d $root/lib ]]; then
  echo "check_layers: error: \"$root\" has no lib/" >&2
  exit 64
fi
cd "$root"

mapfile -d '' -t files < <(find lib tools -type f \( -name '*.h' -o -name '*.cpp' -o -name '*.h.in' \) -print0 | sort -z)
(( ${#files[@]} )) || { echo "check_layers: no sources"; exit 0; }

awk '
BEGIN {
  count = split("base;mask io;data eval;view;nn;model cache weights;uniq;train infer info", line, ";")
  for (i = 1; i <= count; ++i) {
    n = split(line[i], area, " ")
    for (j = 1; j <= n; ++j) level[area[j]] = i
  }
}

function bad(what) { printf "%s:%d: %s\n", FILENAME, FNR, what; ++wrong }

function end_of_file() {
  if (file == "") return
  if (file ~ /^tools\/[^\/]*\.cpp$/ && lines > 80) printf "%s:%d: a tool has at most 80 lines\n", file, lines
  else if (lines > 600) printf "%s:%d: a file has at most 600 lines\n", file, lines
  else return
  ++wrong
}

FNR == 1 {
  end_of_file()
  file = FILENAME
  split(FILENAME, part, "/")
  tool = part[1] == "tools"
  own = tool ? "tools" : part[2]
  header = FILENAME ~ /\.h(\.in)?$/
  if (!tool && !(own in level)) bad("area \"" own "\" is not in the layer picture (scripts/check_layers.sh)")
}

{ lines = FNR }

/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
  name = $0
  sub(/^[ \t]*#[ \t]*include[ \t]*[<"]/, "", name)
  sub(/[>"].*$/, "", name)

  if (name ~ /^lib\//) {
    split(name, part, "/")
    other = part[2]
    if (!(other in level)) bad("\"" name "\" is of no known area")
    else if (own == "weights" && other != own && other != "base" && other != "io")
      bad("weights works on files: it may use base and io only, not \"" name "\"")
    else if (!tool && other != own && level[other] == level[own]) bad(own " and its sibling " other " must not see each other")
    else if (!tool && other != own && level[other] > level[own]) bad(own " is below " other " and must not include it")
    else if (own != "model" && name ~ /^lib\/model\/[^\/]+\// && name !~ /^lib\/model\/weights\//)
      bad("segmenters are known through lib/model/segmenter.h, not \"" name "\"")
  } else if (name ~ /^tools\// && !tool) {
    bad("lib/ must not include tools/")
  } else if ($0 ~ /include[ \t]*"/ && name !~ /^tools\//) {
    bad("\"" name "\" is not written from the root of the repository (\"lib/area/name.h\")")
  }

  if (name ~ /^opencv2\// && own != "data" && own != "view") bad("OpenCV stays in data and view")
  if (name ~ /^(hdf5|H5[A-Za-z]*)(_hl)?\.h$/ && own != "io") bad("HDF5 stays in io")
  if (name ~ /^CLI\// && !tool) bad("CLI11 stays in tools")
  if (name ~ /^(torch|ATen|c10)\// && !tool && level[own] < level["view"]) bad("LibTorch begins at view, not in " own)
  if (name ~ /^(torch|ATen|c10)\// && own == "weights") bad("weights needs no LibTorch")
  if (name == "torch/torch.h" && header) bad("torch/torch.h takes half a minute to parse; headers take ATen/core/Tensor.h")
}

END {
  end_of_file()
  if (wrong) { printf "check_layers: %d violations\n", wrong; exit 1 }
  print "check_layers: " ARGC - 1 " files follow the layer picture"
}
' "${files[@]}"
