# The stages that cache the backbone's features of several views per image and mine them, for stages.sh.
# shellcheck shell=bash disable=SC2034  # what is set here is for stages.sh
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

stage 20-features -n "$SHARDS" "$CONFIG" "$(done_file 15-base)" -- \
  iuq-cache "${CONFIG_FLAGS[@]}" --annotations "$TRAIN" --images "$TRAIN_IMAGES" --model "$RUN/base/model.safetensors" \
  "${SHARD_FLAGS[@]}" "${DEVICE_FLAGS[@]}" --resume -o "$FEATURES_OUTPUT"

stage 30-negatives -n 1 "$CONFIG" "$(done_file 20-features)" -- \
  iuq-mine "${CONFIG_FLAGS[@]}" --annotations "$TRAIN" --features "${FEATURES[@]}" \
  --model "$RUN/base/model.safetensors" "${DEVICE_FLAGS[@]}" -o "$RUN/negatives.h5"

MADE_FOR_CONTROL=("$(done_file 20-features)") CONTROL_FLAGS=(--features "${FEATURES[@]}")
MADE_FOR_METHOD=("$(done_file 30-negatives)") METHOD_FLAGS=(--negatives "$RUN/negatives.h5")
