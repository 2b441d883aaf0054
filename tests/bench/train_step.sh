#!/usr/bin/env bash
# What a step of training the small models of pipelines/evidence.json costs on the CPU: processor seconds, which a busy
# machine changes little, and the median by the clock; of one build or of two, whose runs alternate. Words after the folders
# are NAME[,NAME...] of segmenters and numbers of threads, for example: solov2,condinst 1,2
# usage: train_step.sh FOLDER_OF_TOOLS[,OTHER] [SEGMENTERS] [THREADS] [ROUNDS]
set -euo pipefail
export LC_ALL=C GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-2000}
IFS=, read -ra TOOLS <<<"$1"
IFS=, read -ra SEGMENTERS <<<"${2:-solov2,condinst,sotr,mask2former}"
IFS=, read -ra THREADS <<<"${3:-1,2}"
ROUNDS=${4:-3}
MODE=${MODE:-control}
FEW=4 MANY=34  # steps of the two runs whose difference is that of the steps alone
for i in "${!TOOLS[@]}"; do TOOLS[i]=$(realpath "${TOOLS[i]}"); done
CONFIG=$(realpath "$(dirname "$0")/../..")/pipelines/evidence.json
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK"
"${TOOLS[0]}/iuq-synth" -q -c "$CONFIG" --images 60 --val-images 0 -o scenes

# processor_seconds TOOLS SEGMENTER THREADS STEPS   of a run, which stays in `run`
processor_seconds() {
  rm -rf run
  local TIMEFORMAT='%U %S'
  { time "$1/iuq-train" -q -c "$CONFIG" --variant "$2,small,$MODE" --threads "$3" --set train.steps="$4" \
    --set train.log_every=1 --set uniq.ramp=0 --annotations scenes/annotations/instances_train.json \
    --images scenes/images -o run 2>&3; } 3>&2 2>&1 | awk '{ print $1 + $2 }'
}
median() { sort -g | awk '{ x[NR] = $1 } END { print (x[int((NR + 1) / 2)] + x[int(NR / 2) + 1]) / 2 }'; }

for segmenter in "${SEGMENTERS[@]}"; do
  for threads in "${THREADS[@]}"; do
    rm -f cost.* clock.*
    for (( round = 1; round <= ROUNDS; ++round )); do
      for i in "${!TOOLS[@]}"; do
        few=$(processor_seconds "${TOOLS[i]}" "$segmenter" "$threads" $FEW)
        many=$(processor_seconds "${TOOLS[i]}" "$segmenter" "$threads" $MANY)
        awk -v a="$few" -v b="$many" -v n=$(( MANY - FEW )) 'BEGIN { print (b - a) / n }' >>"cost.$i"
        tail -n +5 run/metrics.jsonl | grep -oE '"seconds":[0-9.e-]+' | cut -d : -f 2 | median >>"clock.$i"
      done
    done
    for i in "${!TOOLS[@]}"; do
      printf '%-12s %d threads  %.4f processor seconds a step  %.4f by the clock  %s\n' "$segmenter" "$threads" \
        "$(median <"cost.$i")" "$(median <"clock.$i")" "${TOOLS[i]}"
    done
  done
done
