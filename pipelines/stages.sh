# The stages that every recipe shares, from images and annotations to the comparison. A recipe sets, before sourcing it,
#   TRAIN, VAL                  annotation files           TRAIN_IMAGES, VAL_IMAGES   folders of their images
#   DATA_DONE                   the done file that stands for all of these
#   BASE_WEIGHTS, WEIGHTS_DONE  optional: what 15-base starts from, and the done file that stands for it
# Three trainings are compared: base, which the others continue; control, with the same images and steps as method but
# the base losses only; method. What control lacks is the method, and nothing else.
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR
BASE_WEIGHTS=${BASE_WEIGHTS:-}
WEIGHTS_DONE=${WEIGHTS_DONE:-}

FEATURES=("$RUN/features/features.h5")
FEATURES_OUTPUT=$RUN/features/features.h5
SHARD_FLAGS=()
if (( SHARDS > 1 )); then
  FEATURES_OUTPUT=$RUN/features
  SHARD_FLAGS=(--shard "{i}/{n}")
  FEATURES=()
  for (( shard = 0; shard < SHARDS; ++shard )); do
    FEATURES+=("$(printf '%s/features/shard-%03d-of-%03d.h5' "$RUN" "$shard" "$SHARDS")")
  done
fi

stage 15-base -n 1 "$CONFIG" "$DATA_DONE" ${WEIGHTS_DONE:+"$WEIGHTS_DONE"} -- \
  iuq-train -c "$CONFIG" --variant "$(variant base)" --annotations "$TRAIN" --images "$TRAIN_IMAGES" \
  ${BASE_WEIGHTS:+--weights "$BASE_WEIGHTS"} --resume -o "$RUN/base"

stage 20-features -n "$SHARDS" "$CONFIG" "$(done_file 15-base)" -- \
  iuq-cache "${CONFIG_FLAGS[@]}" --annotations "$TRAIN" --images "$TRAIN_IMAGES" --model "$RUN/base/model.safetensors" \
  "${SHARD_FLAGS[@]}" --resume -o "$FEATURES_OUTPUT"

stage 30-negatives -n 1 "$CONFIG" "$(done_file 20-features)" -- \
  iuq-mine "${CONFIG_FLAGS[@]}" --annotations "$TRAIN" --features "${FEATURES[@]}" \
  --model "$RUN/base/model.safetensors" -o "$RUN/negatives.h5"

stage 40-control -n 1 "$CONFIG" "$(done_file 20-features)" -- \
  iuq-train -c "$CONFIG" --variant "$(variant control)" --annotations "$TRAIN" --images "$TRAIN_IMAGES" \
  --features "${FEATURES[@]}" --weights "$RUN/base/model.safetensors" --resume -o "$RUN/control"

stage 41-method -n 1 "$CONFIG" "$(done_file 20-features)" "$(done_file 30-negatives)" -- \
  iuq-train -c "$CONFIG" --variant "$(variant method)" --annotations "$TRAIN" --images "$TRAIN_IMAGES" \
  --features "${FEATURES[@]}" --negatives "$RUN/negatives.h5" --weights "$RUN/base/model.safetensors" --resume \
  -o "$RUN/method"

for trained in 15-base 40-control 41-method; do
  name=${trained#*-}
  stage "50-predict-$name" -n 1 "$CONFIG" "$(done_file 10-data)" "$(done_file "$trained")" -- \
    iuq-predict "${CONFIG_FLAGS[@]}" --annotations "$VAL" --images "$VAL_IMAGES" --model "$RUN/$name/model.safetensors" \
    --contact-sheet "$RUN/$name/contact.png" -o "$RUN/$name/predictions.json"
done

for name in base control method; do
  stage "60-ap-$name" "$(done_file 10-data)" "$(done_file "50-predict-$name")" -- \
    iuq-eval --annotations "$VAL" --predictions "$RUN/$name/predictions.json" -o "$RUN/$name/ap.json"
done

stage 70-summary "$(done_file 60-ap-base)" "$(done_file 60-ap-control)" "$(done_file 60-ap-method)" -- \
  pipelines/summary.sh "$RUN" base control method

finish
