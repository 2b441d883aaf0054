#!/usr/bin/env bash
# Seconds of a training step with the method against one without, on the same pairs of images: the ratio.
# ResNet-50, end to end, 256 pixels, batch 4, on the built-in scenes. Runs alternate, so that a busy machine is fair to both.
# usage: step_time.sh FOLDER_OF_TOOLS
set -euo pipefail
export LC_ALL=C GOMP_SPINCOUNT=2000
PATH=$(realpath "$1"):$PATH
CONFIG=$(realpath "$(dirname "$0")/../..")/pipelines/coco.json
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK"
iuq-synth -q --images 16 --val-images 0 --size 256x256 -o scenes

# seconds_of VARIANT SETTING...   median seconds of a step; the memory is full before the first that counts
seconds_of() {
  local variant=$1
  shift
  rm -rf run
  iuq-train -q -c "$CONFIG" --variant "mini,$variant" --set uniq.batching=random --set uniq.ramp=0 --set uniq.memory=5000 \
    --set input.short_side=[256] --set input.long_side=256 --set train.steps=14 --set train.log_every=1 "$@" \
    --annotations scenes/annotations/instances_train.json --images scenes/images -o run
  tail -n 10 run/metrics.jsonl | grep -oE '"seconds":[0-9.e-]+' | cut -d : -f 2 | median
}
median() { sort -g | awk '{ x[NR] = $1 } END { print (x[int((NR + 1) / 2)] + x[int(NR / 2) + 1]) / 2 }'; }

for (( round = 1; round <= 5; ++round )); do
  seconds_of control | tee -a without >&2
  for at in backbone neck mask_features; do seconds_of method --set "uniq.equi_at=$at" | tee -a "$at" >&2; done
done
for at in backbone neck mask_features; do
  awk -v at="$at" -v a="$(median <"$at")" -v b="$(median <without)" \
    'BEGIN { printf "equi_at %-13s %.3f s with, %.3f s without, ratio %.3f\n", at, a, b, a / b }'
done
