#!/usr/bin/env bash
# lvis.sh RECIPE   base, control and method on LVIS v1: the stages of every recipe named <model>-lvis. Images that LVIS did
# not label with a category are not held against it: iuq-eval reads the negative and not exhaustive categories of each.
#   DATA=folder      annotations/lvis_v1_{train,val}.json with COCO's train2017/ and val2017/ (some of the validation
#                    images are COCO's training images: the annotations say which), or
#                    annotations/instances_{train,val}.json in LVIS's format with images/, as iuq-synth makes them
#   WEIGHTS=file     pretrained backbone or model (.pth, .pkl, .safetensors); without it training starts at random
# Hardware: GPUs; on a cluster LAUNCH=pipelines/launch/slurm.sh with SLURM_OPTIONS.
set -euo pipefail
# shellcheck source=pipelines/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

require_data
names=lvis_v1_
TRAIN_IMAGES=$DATA  # the annotations name the folder of each image
if [[ -e $DATA/annotations/instances_train.json && ! -e $DATA/annotations/lvis_v1_train.json ]]; then
  names=instances_
  TRAIN_IMAGES=$DATA/images
fi
TRAIN=$DATA/annotations/${names}train.json
VAL=$DATA/annotations/${names}val.json
VAL_IMAGES=$TRAIN_IMAGES
EVAL_FLAGS=(--style lvis)

# shellcheck source=pipelines/given.sh
source pipelines/given.sh
# shellcheck source=pipelines/stages.sh
source pipelines/stages.sh
