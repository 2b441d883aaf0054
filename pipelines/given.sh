# The first stages of recipes on data and weights that the user has. Sets DATA_DONE, BASE_WEIGHTS and WEIGHTS_DONE for
# stages.sh out of TRAIN, VAL, TRAIN_IMAGES, VAL_IMAGES and WEIGHTS.
# shellcheck shell=bash disable=SC2034  # what is set here is for stages.sh
DATA_DONE=$(done_file 10-data)

# Nothing is made here: this stage digests the annotation files once, for all the others.
stage 10-data "$TRAIN" "$VAL" -- ls -d "$TRAIN" "$VAL" "$TRAIN_IMAGES" "$VAL_IMAGES"

if [[ -z ${WEIGHTS:-} && ,${MODEL:-}, != *,mini,* ]]; then
  say "warning: without WEIGHTS the backbone starts at random and not pretrained, as the recipe expects; this will not train well"
fi
if [[ -n ${WEIGHTS:-} ]]; then
  BASE_WEIGHTS=$RUN/weights.safetensors
  WEIGHTS_DONE=$(done_file 12-weights)
  stage 12-weights "$WEIGHTS" -- iuq-convert --input "$WEIGHTS" -o "$BASE_WEIGHTS"
fi
