#!/usr/bin/env bash
# evidence: what each term of the method is worth, against the best control, where masks limit AP. Many trainings, each judged
# on the validation images of its data set; one line of results.jsonl a training.
# Data: none needed, iuq-synth draws it; real data sets by folder. Hardware: a core a training; five minutes (3000 steps of
# a small SOLOv2) and more each. With DEVICE=cuda and PLAN=data/evidence/plan-gpu.txt: one GPU.
#
#   make run RECIPE=evidence         trains what PLAN lists and RESULTS lacks, from top to bottom
#   scripts/evidence_table.py        says what came out
#
# PLAN has a line of KEY=VALUE words for one training or for several: where a value is a list (a,b,c) the line stands for
# every combination, the words' first values first, with mode changing fastest and then seed. "#" begins a comment.
#   model=    solov2, condinst, sotr or mask2former
#   data=     lookalikes (one category), lookalikes-3 (three), crowded (one, far more instances a scene): built in;
#             facades, coco-mini: the folders FACADES and COCO_MINI; folder: the folder DATA, in COCO's format
#   images=   number of training images, or "all" of a folder's. Fewer are always among more; validation images stay the same
#   steps=    of training, to the end of its cosine schedule. AP over steps takes a training for each number of steps: a
#             checkpoint on the way has a learning rate that no finished training ends with
#   mode=     base (single views), control (pairs, base losses only), equi, inter or method (both)
#   seed=     a number
# and, where it is not the first:
#   size=     small, large, r50 or another variant of evidence.json
#   start=    scratch, or continued with base=STEPS: from the training of mode base, seed 1 and so many steps on the same data,
#             made when first needed and shared
#   form=     a name for set=KEY=VALUE (as for --set, more than one may stand): form=mw2 set=model.mask_weight=2
# Run it in as many shells as there are cores: a training that another shell has begun is passed over, one that was
# interrupted goes on where it stopped. A training that fails is reported, and the rest goes on. Environment, all optional:
#   PLAN      default data/evidence/plan.txt      RESULTS   default runs/evidence/results.jsonl
#   DRY=1     print what would be trained         DEVICE, RUNS, TOOLS   as in common.sh
#   THREADS   of a training, default 1            CONFIG    default pipelines/evidence.json
set -euo pipefail
export LC_ALL=C OMP_NUM_THREADS=${THREADS:-1}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
config=${CONFIG:-pipelines/evidence.json}
plan=${PLAN:-data/evidence/plan.txt}
run=${RUNS:-runs}/evidence
results=${RESULTS:-$run/results.jsonl}
device=(${DEVICE:+--device "$DEVICE"})
export PATH=${TOOLS:-$PWD/${BUILD:-build}/bin}:$PATH

# shellcheck source=pipelines/evidence/plan.sh
source pipelines/evidence/plan.sh
# shellcheck source=pipelines/evidence/train.sh
source pipelines/evidence/train.sh

die() { echo "evidence: error: $2" >&2; exit "$1"; }
say() { echo "evidence: $*" >&2; }

[[ -r $plan ]] || die 66 "the plan \"$plan\" is missing"
[[ ${THREADS:-1} =~ ^[1-9][0-9]*$ ]] || die 64 "THREADS=$THREADS, must be a number from 1"
read_plan
if [[ -n ${DRY:-} ]]; then
  for job in "${jobs[@]}"; do
    take "$job"
    in_results || say "would train $key"
  done
  exit 0
fi
command -v iuq-train >/dev/null || die 66 "the tools are not built; run make"
check_settings

mkdir -p "$run" "$(dirname "$results")"
declare -A failed=()
for round in first second; do  # the second is for what had to wait for a base that another shell was training
  for job in "${jobs[@]}"; do
    [[ -z ${failed[$job]:-} ]] || continue
    rc=0
    train_job "$job" "$round" || rc=$?
    (( rc == 0 )) || failed[$job]=$rc
    (( rc != 75 )) || die 75 "interrupted; the same command goes on from here"
    (( rc == 0 )) || say "error: $key failed with exit code $rc; its log is $run/$key.log"
  done
done
(( ${#failed[@]} == 0 )) || die 1 "${#failed[@]} of ${#jobs[@]} trainings failed"
