#!/usr/bin/env bash
# Runs N tasks on this machine:   local.sh N LOG -- CMD...     {i} and {n} in CMD are the task's number and N
#
# Output goes to LOG when N is 1, with stderr shown as well, else to one log per task (x.log -> x.3.log). Each log opens
# with the command and closes with its exit code. Environment:
#   LOCAL_JOBS   tasks at once (default 1: a task uses all cores by itself)
#   ONLY         run these tasks alone, as in ONLY=3,7
# INT and TERM let the tasks finish their step. Exit code: 0, or the highest of the tasks' codes, but 75 (resumable)
# only when nothing worse happened.
set -euo pipefail
export LC_ALL=C
if (( $# < 4 )) || [[ ! $1 =~ ^[1-9][0-9]*$ || $3 != -- ]]; then
  echo "usage: local.sh N LOG -- CMD..." >&2
  exit 64
fi
count=$1 log=$2
shift 3

declare -A running=()  # pid -> task
failed=() worst=0 stopping=''
trap 'stopping=1' INT  # the terminal sends it to the tasks as well
trap 'stopping=1; kill -TERM "${!running[@]}" 2>/dev/null || true' TERM HUP USR1

log_of() { if (( count == 1 )); then echo "$log"; else echo "${log%.log}.$1.log"; fi; }

start() {
  local task=$1 file command
  shift
  file=$(log_of "$task")
  command=("${@//\{i\}/$task}")
  command=("${command[@]//\{n\}/$count}")
  mkdir -p "$(dirname "$file")"
  echo "# $(date '+%F %T') $(hostname): ${command[*]@Q}" >>"$file"
  if (( count == 1 )); then
    exec 3> >(exec tee -ai "$file" >&2)
    tee_pid=$!
  else
    exec 3>>"$file"
  fi
  # What bash starts in the background ignores SIGINT unless told otherwise.
  env --default-signal=INT "${command[@]}" >>"$file" 2>&3 3>&- &
  running[$!]=$task
  exec 3>&-
}

# Waits until one task has ended; returns early, with nothing done, when a signal comes in.
reap() {
  local pid='' rc=0 task
  wait -n -p pid "${!running[@]}" || rc=$?
  if [[ -z ${pid:-} ]]; then
    if (( rc == 127 )); then echo "local.sh: error: lost the tasks ${running[*]}" >&2; exit 70; fi
    return 0
  fi
  task=${running[$pid]}
  unset "running[$pid]"
  if (( count == 1 )); then wait "$tee_pid" || true; fi
  echo "# exit $rc" >>"$(log_of "$task")"
  (( rc )) || return 0
  failed+=("$task")
  if (( worst == 0 || worst == 75 || (rc != 75 && rc > worst) )); then worst=$rc; fi
}

tasks=()
if [[ -n ${ONLY:-} && $count -gt 1 ]]; then
  IFS=, read -r -a tasks <<<"$ONLY"
else
  mapfile -t tasks < <(seq 0 $((count - 1)))
fi
for task in "${tasks[@]}"; do
  while (( ${#running[@]} >= ${LOCAL_JOBS:-1} )); do reap; done
  [[ -z $stopping ]] || break
  start "$task" "$@"
done
while (( ${#running[@]} )); do reap; done

if [[ -n $stopping ]] && (( worst == 0 )); then worst=75; fi
if (( count > 1 && ${#failed[@]} )); then
  list=$(IFS=,; echo "${failed[*]}")
  echo "local.sh: failed: $list (logs ${log%.log}.*.log); ONLY=$list runs them alone" >&2
fi
exit "$worst"
