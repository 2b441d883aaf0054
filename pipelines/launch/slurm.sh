#!/usr/bin/env bash
# Runs N tasks under Slurm and waits:   slurm.sh N LOG -- CMD...     {i} and {n} in CMD are the task's number and N
#
# The same arguments, logs and exit codes as local.sh. N > 1 is an array; the number of tasks is N, never what Slurm
# counts, so that resubmitting a few of them does not cut the data anew. Environment:
#   SLURM_OPTIONS   words for sbatch, such as "-p gpu --gres=gpu:1 -c 8 --mem=32G -t 4:00:00"
#   ONLY            submit these tasks alone, as in ONLY=3,7
# Three minutes before the time limit a task commits what it has, leaves with 75 and is queued again. INT or TERM here
# ends the tasks in the same way, but does not queue them again. The folder must be seen by all nodes.
set -euo pipefail
export LC_ALL=C
if (( $# < 4 )) || [[ ! $1 =~ ^[1-9][0-9]*$ || $3 != -- ]]; then
  echo "usage: slurm.sh N LOG -- CMD..." >&2
  exit 64
fi
count=$1 log=$2
shift 3
command -v sbatch >/dev/null || { echo "slurm.sh: error: there is no sbatch here; use launch/local.sh" >&2; exit 69; }
if (( count > 1000 )); then
  echo "slurm.sh: error: $count tasks; Slurm's arrays end at 1000, use fewer SHARDS" >&2
  exit 64
fi

mkdir -p "$(dirname "$log")"
read -r -a options <<<"${SLURM_OPTIONS:-}"
options+=(--job-name="$(basename "$log" .log)" --open-mode=append --requeue --signal=B:USR1@180)
tasks=(0)
pattern=${log//%/%%}
if (( count > 1 )); then
  if [[ -n ${ONLY:-} ]]; then IFS=, read -r -a tasks <<<"$ONLY"; else mapfile -t tasks < <(seq 0 $((count - 1))); fi
  options+=(--array="$(IFS=,; echo "${tasks[*]}")")
  pattern=${pattern%.log}.%a.log
fi
options+=(--output="$pattern")

# What runs on the node. Bash delays a trap until the foreground command ends, so the tool runs in the background.
job_script() {
  printf '#!/usr/bin/env bash\nset -uo pipefail\ncommand=(%s)\ncount=%d\n' "${*@Q}" "$count"
  cat <<'EOS'
task=${SLURM_ARRAY_TASK_ID:-0}
command=("${command[@]//\{i\}/$task}")
command=("${command[@]//\{n\}/$count}")
echo "# $(date '+%F %T') $(hostname): ${command[*]@Q}"
pid='' stopped='' again='' cut=''
stop() { stopped=1; cut=1; [[ -z $pid ]] || kill -TERM "$pid"; }
trap 'again=1; stop' USR1  # the time limit is near
trap stop TERM             # somebody wants it to end
"${command[@]}" &
pid=$!
[[ -z $stopped ]] || kill -TERM "$pid"  # the signal came before there was anything to stop
while :; do
  cut='' rc=0
  wait "$pid" || rc=$?
  [[ -n $cut ]] || break  # a trap cuts the wait short
done
# 143: stopped before it was ready to stop politely, so before it did anything.
if [[ -n $stopped ]] && (( rc == 143 )); then rc=75; fi
echo "# exit $rc"
if (( rc == 75 )) && [[ -n $again ]]; then
  # A requeued array task needs its number, else the whole array would be queued again.
  scontrol requeue "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
fi
exit "$rc"
EOS
}

# sbatch is spared the signals: it must stay to bring the exit code home.
exec 3< <(trap '' INT TERM HUP; job_script "$@" | sbatch --wait --parsable "${options[@]}")
submitter=$!
job='' stopping=''
# Tasks that wait in the queue have nothing to commit; they would keep us here until their turn came.
stop_job() {
  [[ -n $stopping && -n $job ]] || return 0
  scancel --state=PENDING "$job" || true
  scancel --batch --signal=TERM "$job" || true
}
trap 'stopping=1; stop_job' INT TERM HUP USR1
read -r job <&3 || true
if [[ -z $job ]]; then
  echo "slurm.sh: error: the job could not be submitted (SLURM_OPTIONS=\"${SLURM_OPTIONS:-}\")" >&2
  exit 69
fi
job=${job%%;*}
stop_job  # if the signal came before the number
echo "slurm.sh: job $job, ${#tasks[@]} task(s), output in ${pattern}" >&2
rc=0
while kill -0 "$submitter" 2>/dev/null; do wait "$submitter" || true; done  # a trap cuts a wait short
wait "$submitter" || rc=$?
if [[ -n $stopping ]] && (( rc )); then
  echo "slurm.sh: job $job stopped; the same command goes on from here" >&2
  exit 75
fi

# The logs say which tasks failed. On a network file system their last line may be seen some seconds late.
last_code() {
  local file=$log line tries
  (( count == 1 )) || file=${log%.log}.$1.log
  for tries in 1 2 3 4 5; do
    line=$(tail -n 1 "$file" 2>/dev/null) || line=
    if [[ $line == "# exit "* ]]; then echo "${line#"# exit "}"; return; fi
    (( tries == 5 || rc == 0 )) || sleep 1
  done
  echo lost
}
if (( rc )); then
  failed=()
  for task in "${tasks[@]}"; do [[ $(last_code "$task") == 0 ]] || failed+=("$task"); done
  list=$(IFS=,; echo "${failed[*]}")
  echo "slurm.sh: failed: task $list of job $job, exit code $rc${ONLY:+ (ONLY=$ONLY)}" >&2
  if (( count > 1 )); then echo "slurm.sh: ONLY=$list runs them alone" >&2; fi
  (( count > 1 )) || tail -n 5 "$log" >&2
fi
exit "$rc"
