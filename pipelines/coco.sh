#!/usr/bin/env bash
# coco.sh [RECIPE]   base, control and method on COCO or on anything annotated like it: the stages of coco and of every
# recipe named <model>-coco. What a recipe takes and should reach is said in the "about" of its config.
#   DATA=folder      annotations/instances_{train,val}2017.json with train2017/ and val2017/, or
#                    annotations/instances_{train,val}.json with images/
#   WEIGHTS=file     pretrained backbone or model (.pth, .pkl, .safetensors); without it training starts at random
# Hardware: GPUs; on a cluster LAUNCH=pipelines/launch/slurm.sh with SLURM_OPTIONS, and SHARDS for the feature cache.
set -euo pipefail
# shellcheck source=pipelines/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

require_data
split=
[[ ! -e $DATA/annotations/instances_train2017.json ]] || split=2017
TRAIN=$DATA/annotations/instances_train$split.json
VAL=$DATA/annotations/instances_val$split.json
TRAIN_IMAGES=$DATA/images
VAL_IMAGES=$DATA/images
if [[ -d $DATA/train2017 ]]; then
  TRAIN_IMAGES=$DATA/train2017
  VAL_IMAGES=$DATA/val2017
fi

# shellcheck source=pipelines/given.sh
source pipelines/given.sh
# shellcheck source=pipelines/stages.sh
source pipelines/stages.sh
