#!/usr/bin/env bash
# evidence: what each term of the method is worth where masks limit AP. Many small trainings from scratch on the built-in
# data set, each judged on the same 400 validation images; one line of results.jsonl a training.
# Data: none needed, iuq-synth draws it. Hardware: a core a training; five minutes (3000 steps of SOLOv2) and more each.
#
#   make run RECIPE=evidence         trains what PLAN lists and RUNS lacks, from top to bottom
#
# PLAN has a training a line, "#" begins a comment:   MODEL IMAGES STEPS MODE SEED [NAME KEY=VALUE...]
# MODEL is solov2, condinst, sotr or mask2former; MODE is base, control, equi, inter or method; KEY=VALUE as for --set, and
# NAME stands for them in the results. Run it in as many shells as there are cores: a training that another shell has begun is
# passed over, one that was interrupted goes on where it stopped. Environment, all optional:
#   PLAN      default data/evidence/plan.txt      RESULTS   default runs/evidence/results.jsonl
#   DRY=1     print what would be trained         DEVICE, RUNS, TOOLS   as in common.sh
set -euo pipefail
export LC_ALL=C OMP_NUM_THREADS=1
cd "$(dirname "${BASH_SOURCE[0]}")/.."
config=pipelines/evidence.json
plan=${PLAN:-data/evidence/plan.txt}
run=${RUNS:-runs}/evidence
results=${RESULTS:-$run/results.jsonl}
device=(${DEVICE:+--device "$DEVICE"})
export PATH=${TOOLS:-$PWD/${BUILD:-build}/bin}:$PATH
if [[ ! -r $plan ]]; then
  echo "evidence: error: the plan \"$plan\" is missing" >&2
  exit 66
fi

# scenes IMAGES   makes the data set of that many training images unless it is there; its validation images are always the same
scenes() {
  exec 9>"$run/scenes-$1.lock"
  flock 9
  iuq-synth -c "$config" --set "synth.images=$1" -o "$run/scenes-$1" -q
  exec 9>&-
}

# judge FOLDER DATA VARIANTS   predictions and AP of the model in FOLDER
judge() {
  local truth=$2/annotations/instances_val.json
  iuq-predict -c "$config" --variant "$3" --annotations "$truth" --images "$2/images" --model "$1/model.safetensors" \
    --threads 1 "${device[@]}" -o "$1/predictions.json"
  iuq-eval --annotations "$truth" --predictions "$1/predictions.json" -o "$1/ap.json" >/dev/null
}

# train_one KEY MODEL IMAGES STEPS MODE SEED NAME SETTING...   one line of the results
train_one() {
  local key=$1 model=$2 images=$3 steps=$4 mode=$5 seed=$6 name=$7 weight=1 setting settings=() variants=$5 numbers seconds digest
  shift 7
  [[ $model == solov2 ]] || variants=$model,$mode
  for setting in "train.steps=$steps" "$@"; do settings+=(--set "$setting"); done
  for setting in "$@"; do [[ $setting != model.mask_weight=* ]] || weight=${setting#*=}; done
  scenes "$images"
  iuq-train -c "$config" --variant "$variants" "${settings[@]}" --seed "$seed" --threads 1 --resume "${device[@]}" \
    --annotations "$run/scenes-$images/annotations/instances_train.json" --images "$run/scenes-$images/images" -o "$run/$key"
  judge "$run/$key" "$run/scenes-$images" "$variants"
  mapfile -t numbers < <(iuq-info --get stats.AP --get stats.AP50 --get stats.AP75 "$run/$key/ap.json")
  seconds=$(sed -n 's/.*"seconds":\([0-9.e+-]*\).*/\1/p' "$run/$key/metrics.jsonl" | awk '{ s += $1 } END { print s + 0 }')
  digest=$(iuq-info --json "$run/$key/model.safetensors" | iuq-info --get provenance.digest -)
  printf '{"model": "%s", "size": "r18w16", "regime": "lookalikes-1-%s", "data": "synth", "start": "scratch", ' "$model" "$images"
  printf '"source": "images", "mode": "%s", "form": "%s", "mask_weight": %s, "seed": %s, ' "$mode" "$name" "$weight" "$seed"
  printf '"ap": %s, "ap50": %s, "ap75": %s, "seconds": %s, "steps": %s, "settings": "%s", "config_digest": "%s"}\n' \
    "${numbers[@]}" "$seconds" "$steps" "$*" "$digest"
}

mkdir -p "$run" "$(dirname "$results")"
while read -r model images steps mode seed name settings; do
  [[ -n $model && $model != \#* ]] || continue
  key=$model-$images-$steps-$mode-${name:=default}-$seed
  if [[ -n ${DRY:-} ]]; then
    [[ -e $run/$key.listed ]] || echo "evidence: would train $key" >&2
    continue
  fi
  exec 8>"$run/$key.lock"
  flock -n 8 || continue
  [[ ! -e $run/$key.listed ]] || continue
  read -r -a words <<<"$settings"
  echo "evidence: $key" >&2
  train_one "$key" "$model" "$images" "$steps" "$mode" "$seed" "$name" "${words[@]}" 2>>"$run/$key.log" >"$run/$key.line"
  cat "$run/$key.line" >>"$results"
  mv "$run/$key.line" "$run/$key.listed"
done <"$plan"
