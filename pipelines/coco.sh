#!/usr/bin/env bash
# coco: base, control and method on COCO or on anything annotated like it.
#   DATA=folder      annotations/instances_{train,val}2017.json with train2017/ and val2017/, or
#                    annotations/instances_{train,val}.json with images/
#   WEIGHTS=file     pretrained backbone or model (.pth, .pkl, .safetensors); without it training starts at random
# Hardware: GPUs; on a cluster LAUNCH=pipelines/launch/slurm.sh with SLURM_OPTIONS, and SHARDS for the feature cache.
set -euo pipefail
# shellcheck source=pipelines/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[[ -n ${DATA:-} ]] || die 64 "set DATA to the folder with annotations/ and the images"
[[ -d $DATA/annotations ]] || die 66 "$DATA/annotations is missing"
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
DATA_DONE=$(done_file 10-data)

# Nothing is made here: this stage digests the annotation files once, for all the others.
stage 10-data "$TRAIN" "$VAL" -- ls -d "$TRAIN" "$VAL" "$TRAIN_IMAGES" "$VAL_IMAGES"

if [[ -z ${WEIGHTS:-} && ,${MODEL:-}, != *,mini,* ]]; then
  say "warning: without WEIGHTS the backbone starts at random, with the frozen norms of a pretrained one; this will not train well"
fi
if [[ -n ${WEIGHTS:-} ]]; then
  BASE_WEIGHTS=$RUN/weights.safetensors
  WEIGHTS_DONE=$(done_file 12-weights)
  stage 12-weights "$WEIGHTS" -- iuq-convert --input "$WEIGHTS" -o "$BASE_WEIGHTS"
fi

# shellcheck source=pipelines/stages.sh
source pipelines/stages.sh
