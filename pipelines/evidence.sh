#!/usr/bin/env bash
# evidence: what each term of the method is worth where masks limit AP. Many small trainings from scratch on the built-in
# data set, each judged on the same 400 validation images; one line of results.jsonl a training.
# Data: none needed, iuq-synth draws it. Hardware: one core a training; 20 minutes (60 images) to hours each.
#
#   pipelines/evidence.sh PLAN       trains what PLAN lists and results.jsonl lacks, from top to bottom
#
# PLAN has a training a line, "#" begins a comment:   MODEL IMAGES STEPS MODE SEED [NAME KEY=VALUE...]
# MODEL is solov2, condinst, sotr or mask2former; MODE is base, control, equi, inter or method; KEY=VALUE as for --set,
# NAME says in results.jsonl what they change. Run it in as many shells as there are cores: a training that another shell
# has begun is passed over, one that was interrupted goes on where it stopped. Environment, all optional:
#   RESULTS   file the lines are appended to (default data/evidence/results.jsonl)
#   DEVICE    as iuq-train's --device      RUNS   folder of the outputs (default runs)      TOOLS   folder of the tools
set -euo pipefail
export LC_ALL=C OMP_NUM_THREADS=1
cd "$(dirname "${BASH_SOURCE[0]}")/.."
(( $# == 1 )) && [[ -r $1 ]] || { echo "usage: pipelines/evidence.sh PLAN" >&2; exit 64; }
plan=$1
config=pipelines/evidence.json
run=${RUNS:-runs}/evidence
results=${RESULTS:-data/evidence/results.jsonl}
export PATH=${TOOLS:-$PWD/build/bin}:$PATH
mkdir -p "$run" "$(dirname "$results")"
touch "$results"

# scenes IMAGES   the data set of that many training images; its validation images are the same for all
scenes() {
  local folder=$run/scenes-$1
  (
    flock 9
    iuq-synth -c "$config" --set "synth.images=$1" -o "$folder" -q
  ) 9>"$folder.lock" || return
  printf '%s' "$folder"
}

number() { sed -n "s/.*\"$2\": *\\(-\\{0,1\\}[0-9.e-]*\\).*/\\1/p" "$1" | head -n 1; }

# train_one MODEL IMAGES STEPS MODE SEED NAME SETTING...
train_one() {
  local model=$1 images=$2 steps=$3 mode=$4 seed=$5 name=$6 folder data variants settings=() setting
  shift 6
  folder=$run/$model-$images-$steps-$mode-$name-$seed
  for setting in "train.steps=$steps" "$@"; do settings+=(--set "$setting"); done
  variants=$mode
  [[ $model == solov2 ]] || variants=$model,$mode
  data=$(scenes "$images") || return
  mkdir -p "$folder"
  iuq-train -c "$config" --variant "$variants" "${settings[@]}" --seed "$seed" --threads 1 --resume \
    --annotations "$data/annotations/instances_train.json" --images "$data/images" ${DEVICE:+--device "$DEVICE"} \
    -o "$folder" 2>>"$folder.log" || return
  iuq-predict -c "$config" --variant "$variants" --annotations "$data/annotations/instances_val.json" --images "$data/images" \
    --model "$folder/model.safetensors" --threads 1 ${DEVICE:+--device "$DEVICE"} -o "$folder/predictions.json" \
    2>>"$folder.log" || return
  iuq-eval --annotations "$data/annotations/instances_val.json" --predictions "$folder/predictions.json" \
    -o "$folder/ap.json" >>"$folder.log" 2>&1 || return
  local seconds weight
  seconds=$(sed -n 's/.*"seconds": *\([0-9.e-]*\).*/\1/p' "$folder/metrics.jsonl" | awk '{ s += $1 } END { print s + 0 }')
  weight=1
  for setting in "$@"; do [[ $setting != model.mask_weight=* ]] || weight=${setting#*=}; done
  printf '{"model": "%s", "size": "r18w16", "regime": "lookalikes-1-%s", "data": "synth", "start": "scratch", "source": "images", "mode": "%s", "form": "%s", "mask_weight": %s, "seed": %s, "ap": %s, "ap50": %s, "ap75": %s, "seconds": %s, "steps": %s, "settings": "%s"}\n' \
    "$model" "$images" "$mode" "$name" "$weight" "$seed" "$(number "$folder/ap.json" AP)" \
    "$(number "$folder/ap.json" AP50)" "$(number "$folder/ap.json" AP75)" "$seconds" "$steps" "$*" >>"$results"
}

while read -r model images steps mode seed name settings; do
  [[ -n $model && $model != \#* ]] || continue
  name=${name:-default}
  key=$run/$model-$images-$steps-$mode-$name-$seed
  exec 8>"$key.lock"
  flock -n 8 || continue
  if [[ ! -e $key.listed ]]; then
    read -r -a words <<<"$settings"
    echo "evidence: $(basename "$key")" >&2
    train_one "$model" "$images" "$steps" "$mode" "$seed" "$name" "${words[@]}" || exit
    touch "$key.listed"
  fi
  exec 8>&-
done <"$plan"
