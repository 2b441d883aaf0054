#!/usr/bin/env bash
# A model of each kind that goes out under the names of its reference and comes back predicts the same bytes as before.
# usage: export.sh FOLDER_OF_TOOLS
set -euo pipefail
export LC_ALL=C OMP_NUM_THREADS=1
PATH=$(realpath "$1"):$PATH
SOURCE=$(realpath "$(dirname "$0")/../..")
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK"
config=$SOURCE/tests/support/tiny.json
iuq-synth -q -c "$config" -o scenes

# predict MODEL OUTPUT [FLAG...]   on the validation images
predict() {
  local model=$1 output=$2
  shift 2
  iuq-predict -q --annotations scenes/annotations/instances_val.json --images scenes/images --model "$model" "$@" -o "$output"
}

# same_through NAMING MODEL   out under these names and back, then predictions as before
same_through() {
  local naming=$1 model=$2
  iuq-convert -q --input "$model/model.safetensors" --to "$naming" -o "$model/$naming.safetensors"
  iuq-convert -q --input "$model/$naming.safetensors" --from "$naming" -o "$model/$naming.back.safetensors"
  # A file that has been elsewhere says nothing of the model; the config does.
  predict "$model/$naming.back.safetensors" "$model/$naming.json" -c "$config" --variant "base,$model"
  cmp "$model/plain.json" "$model/$naming.json" || { echo "FAILED: $model through $naming predicts otherwise" >&2; exit 1; }
}

for model in solov2 condinst sotr; do
  iuq-train -q -c "$config" --variant "base,$model" --set train.steps=20 --set train.lr=0.01 \
    --annotations scenes/annotations/instances_train.json --images scenes/images -o "$model"
  predict "$model/model.safetensors" "$model/plain.json"
  [[ $(wc -c <"$model/plain.json") -gt 1000 ]] || { echo "FAILED: $model predicts nothing to compare" >&2; exit 1; }
  same_through detectron2 "$model"
  [[ $model == sotr ]] || same_through mmdet "$model"  # mmdetection has no SOTR
done
# Still one of ours by its metadata, which knows the model better than the config.
predict sotr/detectron2.safetensors foreign.json -c "$config" --variant base
cmp sotr/plain.json foreign.json
if predict condinst/mmdet.back.safetensors wrong.json -c "$config" --variant base 2>error; then
  echo "FAILED: CondInst's weights went into SOLOv2" >&2
  exit 1
fi
grep -q 'has no place in this segmenter' error
echo "all checks passed"
