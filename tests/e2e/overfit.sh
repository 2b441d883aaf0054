#!/usr/bin/env bash
# A segmenter on ResNet-50 learns 16 real images by heart, end to end from random weights: at least 50 mask AP on them.
# Takes a quarter of an hour on two idle cores (SOLOv2). Needs the shared COCO images.
# usage: [MODEL=solov2|condinst|sotr|mask2former] overfit.sh FOLDER_OF_TOOLS FOLDER_OF_COCO_MINI [FLAG OF iuq-train...]
set -euo pipefail
export LC_ALL=C GOMP_SPINCOUNT=2000
PATH=$(realpath "$1"):$PATH
SOURCE=$(realpath "$(dirname "$0")/../..")
DATA=$(realpath -m "$2")
MODEL=${MODEL:-solov2}
RECIPE=coco VARIANT=$MODEL,mini,overfit
if [[ $MODEL == mask2former ]]; then RECIPE=mask2former-r50-coco VARIANT=overfit; fi
shift 2
if [[ ! -d $DATA/images ]] || ! command -v python3 >/dev/null; then echo "skipped: needs $DATA and python3"; exit 0; fi
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK"
# The first 16 training images that have 1 to 6 instances, at 192 pixels.
"$SOURCE/scripts/subset_annotations.py" "$DATA/annotations/instances_train.json" 16 6 some.json
iuq-train -c "$SOURCE/pipelines/$RECIPE.json" --variant "$VARIANT" --annotations some.json --images "$DATA/images" "$@" \
  -o run
cat run/metrics.jsonl
iuq-predict --annotations some.json --images "$DATA/images" --model run/model.safetensors -o predictions.json
iuq-eval --annotations some.json --predictions predictions.json --min-ap 0.5
