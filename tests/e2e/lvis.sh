#!/usr/bin/env bash
# The LVIS recipe at rehearsal size, on made-up images with long-tailed categories and federated labels: from data to a
# summary with AP of rare, common and frequent categories.
# usage: lvis.sh FOLDER_OF_TOOLS
set -euo pipefail
export LC_ALL=C OMP_NUM_THREADS=1
cd "$(dirname "$0")/../.."
TOOLS=$(realpath "$1")
WORK=$(mktemp -d)
export TOOLS RUNS=$WORK/runs DATA=$WORK/data MODEL=mini
trap 'rm -rf "$WORK"' EXIT
fail() { echo "FAILED: $1" >&2; exit 1; }
"$TOOLS/iuq-synth" -q --format lvis --images 24 --val-images 8 --size 64x96 -o "$DATA"
# The real files name no file but an address, whose last two parts are folder and file.
for split in train val; do
  sed -i -E 's#"file_name":"([^"]*)"#"coco_url":"http://images.example/\1"#g' "$DATA/annotations/instances_$split.json"
  mv "$DATA/annotations/instances_$split.json" "$DATA/annotations/lvis_v1_$split.json"
done
mv "$DATA"/images/* "$DATA"
pipelines/run.sh solov2-r50-lvis >"$WORK/table"
grep -q 'APr *APc *APf' "$WORK/table" || fail "the table lacks the groups of categories"
run=$RUNS/solov2-r50-lvis-mini
for name in base control method; do
  "$TOOLS/iuq-info" --get stats.APr "$run/$name/ap.json" >/dev/null || fail "$name is not judged as LVIS is"
  [[ -s $run/$name/predictions.json ]] || fail "$name has no predictions"
done
grep -q '"protocol": *"lvis"' "$run/method/ap.json" || fail "the protocol is not LVIS's"
grep -q equi "$run/method/metrics.jsonl" || fail "the method's term is missing"
echo "all checks passed"
