# The stages that every recipe shares, from images and annotations to the comparison. A recipe sets, before sourcing it,
#   TRAIN, VAL                  annotation files           TRAIN_IMAGES, VAL_IMAGES   folders of their images
#   DATA_DONE                   the done file that stands for all of these
#   BASE_WEIGHTS, WEIGHTS_DONE  optional: what 15-base starts from, and the done file that stands for it
#   EVAL_FLAGS                  optional: how 60-ap judges
# A config with a section "cache" trains control and method on cached features, and method with mined negatives; without, both
# train end to end on images, and the negatives of method are those of its memory alone.
# Three trainings are compared: base, which the others continue; control, with the same images and steps as method but
# the base losses only; method. What control lacks is the method, and nothing else.
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR
BASE_WEIGHTS=${BASE_WEIGHTS:-}
WEIGHTS_DONE=${WEIGHTS_DONE:-}
[[ -v EVAL_FLAGS ]] || EVAL_FLAGS=()

stage 15-base -n 1 "$CONFIG" "$DATA_DONE" ${WEIGHTS_DONE:+"$WEIGHTS_DONE"} -- \
  iuq-train -c "$CONFIG" --variant "$(variant base)" "${SEED_FLAGS[@]}" --annotations "$TRAIN" --images "$TRAIN_IMAGES" "${DEVICE_FLAGS[@]}" \
  ${BASE_WEIGHTS:+--weights "$BASE_WEIGHTS"} --resume -o "$RUN/base"

MADE_FOR_CONTROL=("$(done_file 15-base)") CONTROL_FLAGS=()
MADE_FOR_METHOD=() METHOD_FLAGS=()
if has_section cache; then
  # shellcheck source=pipelines/cached.sh
  source pipelines/cached.sh
fi

stage 40-control -n 1 "$CONFIG" "${MADE_FOR_CONTROL[@]}" -- \
  iuq-train -c "$CONFIG" --variant "$(variant control)" "${SEED_FLAGS[@]}" --annotations "$TRAIN" --images "$TRAIN_IMAGES" \
  "${CONTROL_FLAGS[@]}" "${DEVICE_FLAGS[@]}" --weights "$RUN/base/model.safetensors" --resume -o "$RUN/control"

stage 41-method -n 1 "$CONFIG" "${MADE_FOR_CONTROL[@]}" "${MADE_FOR_METHOD[@]}" -- \
  iuq-train -c "$CONFIG" --variant "$(variant "$METHOD")" "${SEED_FLAGS[@]}" --annotations "$TRAIN" --images "$TRAIN_IMAGES" \
  "${CONTROL_FLAGS[@]}" "${METHOD_FLAGS[@]}" "${DEVICE_FLAGS[@]}" --weights "$RUN/base/model.safetensors" --resume \
  -o "$RUN/method"

for trained in 15-base 40-control 41-method; do
  name=${trained#*-}
  stage "50-predict-$name" -n 1 "$CONFIG" "$(done_file 10-data)" "$(done_file "$trained")" -- \
    iuq-predict "${CONFIG_FLAGS[@]}" --annotations "$VAL" --images "$VAL_IMAGES" --model "$RUN/$name/model.safetensors" \
    --contact-sheet "$RUN/$name/contact.png" "${DEVICE_FLAGS[@]}" -o "$RUN/$name/predictions.json"
done

for name in base control method; do
  stage "60-ap-$name" "$(done_file 10-data)" "$(done_file "50-predict-$name")" -- \
    iuq-eval --annotations "$VAL" --predictions "$RUN/$name/predictions.json" "${EVAL_FLAGS[@]}" -o "$RUN/$name/ap.json"
done

# What the method adds, with an interval over the validation images.
stage 65-compare "$(done_file 10-data)" "$(done_file 50-predict-control)" "$(done_file 50-predict-method)" -- \
  iuq-eval -q --annotations "$VAL" --predictions "$RUN/control/predictions.json" --compare "$RUN/method/predictions.json" \
  "${EVAL_FLAGS[@]}" -o "$RUN/compare.json"

stage 70-summary "$(done_file 60-ap-base)" "$(done_file 60-ap-control)" "$(done_file 60-ap-method)" "$(done_file 65-compare)" -- \
  pipelines/summary.sh "$RUN" base control method

finish
