#!/usr/bin/env bash
# toy: the whole chain on a made-up data set, for a look at what iuq does and for the end-to-end test.
# Data: none needed, iuq-synth draws it. Hardware: two cores, no GPU.
set -euo pipefail
# shellcheck source=pipelines/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

REPLACE=${REPLACE:-1}  # its trainings take minutes
TRAIN=$RUN/scenes/annotations/instances_train.json
VAL=$RUN/scenes/annotations/instances_val.json
TRAIN_IMAGES=$RUN/scenes/images
VAL_IMAGES=$RUN/scenes/images
DATA_DONE=$(done_file 10-data)

stage 10-data "$CONFIG" -- iuq-synth "${CONFIG_FLAGS[@]}" -o "$RUN/scenes"

# shellcheck source=pipelines/stages.sh
source pipelines/stages.sh
