# What a recipe is made of. A recipe <name>.sh sources this file and lists its stages; its one config is <name>.json
# beside it, its outputs go to runs/<name>/ (runs/<name>-<model>/ with MODEL). Called with an argument the same stages serve
# the config of that name, as coco.sh does for solov2-r50-coco. Environment, all optional:
#   FROM, TO   first and last stage by number (20) or name (20-features)
#   DRY=1      print each stage, its command and whether its stamp holds; run nothing
#   FORCE=1    run the selected stages again, whatever their stamps and outputs say
#   REPLACE=1  a training of an older config or input is dropped; without, the recipe stops there (other stages
#              are simply made again: they take no days)
#   LAUNCH     pipelines/launch/local.sh (default) or pipelines/launch/slurm.sh, for the stages that take long
#   MODEL      a variant of the config, added to every tool that reads it
#   METHOD     the variant of the config that control is compared with (default method); paper has both terms of the paper, at its
#              weights, where the config is of a published model. Outputs are where those of method were: REPLACE=1 drops them
#   SEED       another number than the config's "seed"; outputs go to runs/<name>-seed<N>/
#   DEVICE     where networks run: cpu (default), cuda, cuda:N or auto
#   SHARDS     parts that feature caching is cut into (default 1)
#   RUNS       folder of the outputs (default runs)      TOOLS   folder of the tools (default build/bin)
# Sets CONFIG, RUN, CONFIG_FLAGS, SEED_FLAGS, DEVICE_FLAGS and the functions stage, done_file, variant, has_section, require_data and
# finish.
# shellcheck shell=bash
set -euo pipefail
export LC_ALL=C
# How long OpenMP threads spin for the next of many small tasks before they sleep. Not at all costs a training alone on two
# cores 1.4 times the time; GNU's default costs two that share them 23 times the time, this 1.4.
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-2000}

die() { echo "$RECIPE: error: $2" >&2; exit "$1"; }
say() { echo "$RECIPE: $*" >&2; }

RECIPE=${1:-$(basename "$0" .sh)}
CONFIG=$(realpath "$(dirname "$0")")/$RECIPE.json
for path_name in DATA WEIGHTS RUNS; do  # relative to where the user is, not to where we go
  [[ -z ${!path_name:-} ]] || printf -v "$path_name" '%s' "$(realpath -ms "${!path_name}")"
done
ROOT=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
cd "$ROOT"
CONFIG=${CONFIG#"$ROOT"/}
RUN=${RUNS:-runs}/$RECIPE${MODEL:+-$MODEL}${SEED:+-seed$SEED}
RUN=${RUN#"$ROOT"/}
SHARDS=${SHARDS:-1}
METHOD=${METHOD:-method}
LAUNCH=${LAUNCH:-pipelines/launch/local.sh}
export PATH=${TOOLS:-$ROOT/${BUILD:-build}/bin}:$PATH

[[ ${MODEL:-} =~ ^[A-Za-z0-9_+,-]*$ ]] || die 64 "MODEL=$MODEL, must be variants of the config, with commas between"
[[ $METHOD =~ ^[A-Za-z0-9_+,-]+$ ]] || die 64 "METHOD=$METHOD, must be variants of the config, with commas between"
[[ ${SEED:-0} =~ ^(0|[1-9][0-9]{0,17})$ ]] || die 64 "SEED=$SEED, must be a number from 0"
[[ -e $CONFIG ]] || die 66 "$CONFIG is missing"
[[ $SHARDS =~ ^[1-9][0-9]*$ ]] || die 64 "SHARDS=$SHARDS, must be a number from 1"
[[ -x $LAUNCH ]] || die 64 "LAUNCH=$LAUNCH is no program; there are: $(echo pipelines/launch/*.sh)"
for bound in "${FROM:-0}" "${TO:-0}"; do
  [[ $bound =~ ^[0-9]+(-.*)?$ ]] || die 64 "FROM and TO are stage numbers such as 20, not \"$bound\""
done
for name in ${METHOD//,/ }; do
  [[ $name == method ]] || grep -qE "^ *\"$name\": *\{" "$CONFIG" || die 64 "METHOD=$METHOD, but $CONFIG has no variant \"$name\""
done
[[ -n ${DRY:-} ]] || command -v iuq-eval >/dev/null || die 66 "the tools are not built; run make"

SEED_FLAGS=(${SEED:+--seed "$SEED"})
# shellcheck disable=SC2034  # used by the recipes
CONFIG_FLAGS=(-c "$CONFIG" ${MODEL:+--variant "$MODEL"} "${SEED_FLAGS[@]}")
# shellcheck disable=SC2034
DEVICE_FLAGS=(${DEVICE:+--device "$DEVICE"})
# variant NAME   CONFIG_FLAGS's variants and one more, as one list: they apply in order
variant() { printf '%s' "${MODEL:+$MODEL,}$1"; }
# has_section NAME   whether the config has this section. It looks at the text, not with a tool: DRY=1 works before any is built.
has_section() {
  # Strings and comments whole, so that nothing in them counts.
  grep -oE '"([^"\\]|\\.)*"|//.*|[][{}:]' "$CONFIG" | awk -v name="\"$1\"" '
    /^\/\// { next }
    /^[[{]/ { ++depth } /^[]}]/ { --depth }
    $0 == ":" && depth == 1 && last == name { found = 1 }
    { last = $0 }
    END { exit !found }'
}
# require_data   ends the recipe unless DATA is a folder with annotations
require_data() {
  [[ -n ${DATA:-} ]] || die 64 "set DATA to the folder with annotations/ and the images"
  [[ -d $DATA/annotations ]] || die 66 "$DATA/annotations is missing"
}
# done_file STAGE   stands for all that STAGE made when it is another stage's input
done_file() { printf '%s' "$RUN/stamps/$1.done"; }

stages_seen=0
declare -A would_run=()  # done files of the stages that a DRY run found stale

selected() {
  local number=$((10#${1%%-*})) from=${FROM:-0} to=${TO:-999999}
  (( number >= 10#${from%%-*} && number <= 10#${to%%-*} ))
}

# Fails, naming the stage to run, when an input is missing.
require_inputs() {
  local name=$1 input maker
  shift
  for input in "$@"; do
    [[ ! -e $input ]] || continue
    maker=
    [[ $input != "$RUN"/stamps/*.done ]] || maker=$(basename "$input" .done)
    say "error: $name needs $input, which is missing${maker:+; run stage $maker first}"
    return 66
  done
}

# launch N LOG CMD...   one launcher, ended by the signals that end us. Returns its exit code.
launch() {
  local count=$1 log=$2 launcher=$LAUNCH pid rc signalled=
  shift 2
  if (( count == 0 )); then
    launcher=pipelines/launch/local.sh
    count=1
  fi
  # What bash starts in the background ignores SIGINT unless told otherwise.
  env --default-signal=INT "$launcher" "$count" "$log" -- "$@" &
  pid=$!
  trap 'signalled=1' INT  # the terminal sends it to the launcher as well
  trap 'signalled=1; kill -TERM "$pid" 2>/dev/null || true' TERM HUP
  while :; do
    rc=0
    wait "$pid" || rc=$?
    [[ -n $signalled ]] || break  # a trap cuts the wait short; then it is done again
    signalled=
  done
  trap - INT TERM HUP
  return "$rc"
}

# run_stage NAME COUNT CMD...   runs it, records its seconds, and explains a failure
run_stage() {
  local name=$1 count=$2 log=$RUN/logs/$1.log began=$SECONDS rc=0 word forced=()
  shift 2
  for word in "$@"; do [[ $word == --resume ]] || forced+=("$word"); done
  # Shell commands such as the summary have no --force; the tools' names begin alike.
  [[ $1 != iuq-* ]] || forced+=(--force)
  if [[ -n ${FORCE:-} ]]; then
    launch "$count" "$log" "${forced[@]}" || rc=$?
  else
    launch "$count" "$log" "$@" || rc=$?
    # The tool knows best whether the output it finds is this one. With 73 it is another: made by an older config.
    if (( rc == 73 )) && [[ $1 == iuq-train && -z ${REPLACE:-} ]]; then
      say "$name: another config or input trained what is there; REPLACE=1 drops it, RUNS=folder keeps both"
    elif (( rc == 73 )) && [[ $1 == iuq-* ]]; then
      say "$name: replacing what an older config or input made"
      rc=0
      launch "$count" "$log" "${forced[@]}" || rc=$?
    fi
  fi
  printf '%s\t%d\t%d\n' "$name" $((SECONDS - began)) "$rc" >>"$RUN/seconds.tsv"
  case $rc in
    0) ;;
    75) say "$name: interrupted; the same command goes on from here" ;;
    *) say "error: $name failed with exit code $rc; its log is $log" ;;
  esac
  return "$rc"
}

# stage NAME [-n COUNT] FILE... -- CMD...
# Runs CMD unless the stamp of NAME records this very command on these very inputs (their content, not their time).
# With -n CMD is COUNT tasks for $LAUNCH, {i} and {n} in it being the task's number and COUNT; without, it runs here.
# Everything is checked by hand because set -e is off wherever a function stands in a condition.
stage() {
  local name=$1 count=0 stamp inputs=() input digests want
  stamp=$(done_file "$1")
  shift
  if [[ $1 == -n ]]; then count=$2; shift 2; fi
  while [[ $1 != -- ]]; do inputs+=("$1"); shift; done
  shift
  selected "$name" || return 0
  stages_seen=$((stages_seen + 1))

  if [[ -n ${DRY:-} ]]; then
    for input in "${inputs[@]}"; do
      if [[ ! -e $input || -n ${would_run[$input]:-} ]]; then would_run[$stamp]=1; fi
    done
  else
    require_inputs "$name" "${inputs[@]}" || return
  fi
  if [[ -z ${would_run[$stamp]:-} ]]; then
    digests=$(sha256sum -- "${inputs[@]}") || return
    want=$(printf '%s\0' "$digests" "$count" "$@" | sha256sum) || return
    if [[ -z ${FORCE:-} && -e $stamp && $(<"$stamp") == "$want" ]]; then
      say "$name: up to date"
      return 0
    fi
  fi
  if [[ -n ${DRY:-} ]]; then
    would_run[$stamp]=1
    say "$name: would run: ${*@Q}"
    return 0
  fi

  mkdir -p "$RUN/stamps" "$RUN/logs" || return
  rm -f "$stamp" || return
  say "$name: ${*@Q}"
  run_stage "$name" "$count" "$@" || return
  printf '%s\n' "$want" >"$stamp.tmp" && mv "$stamp.tmp" "$stamp"
}

# The last line of a recipe: shows the summary when its stage was among those selected.
finish() {
  (( stages_seen )) || die 64 "no stage lies between FROM=${FROM:-} and TO=${TO:-}"
  if [[ -z ${DRY:-} ]] && selected 70-summary; then cat "$RUN/summary.txt"; fi
}
