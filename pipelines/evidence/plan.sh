# How evidence.sh reads its plan. Sets jobs, one string a training that take() turns into model, size, data, images, steps,
# mode, seed, start, base, form, settings, line, regime and key.
# shellcheck shell=bash disable=SC2034,SC2154  # what is set here is for evidence.sh, and the other way round
words=(model size data images steps mode seed start base form)
jobs=()
declare -A line_of=()  # key of a training -> where the plan has it

bad_line() { die 78 "$plan:$line: $1"; }

# values WORD   the values of a word of this line, each in a line
values() { tr ',' '\n' <<<"${word[$1]}"; }

# one_of WORD VALUE...   ends the recipe unless all values of a word are among these
one_of() {
  local name=$1 value
  shift
  for value in $(values "$name"); do
    [[ " $* " == *" $value "* ]] || bad_line "$name=$value, must be one of $*"
  done
}
numbers() {
  local value
  for value in $(values "$1"); do
    [[ $value =~ ^(0|[1-9][0-9]*)$ || $value == "${2:-}" ]] || bad_line "$1=$value, must be a number${2:+ or \"$2\"}"
  done
}

check_line() {
  local name
  for name in "${words[@]}"; do
    [[ -n ${word[$name]:-} ]] || bad_line "$name= is missing"
  done
  one_of model solov2 condinst sotr mask2former
  one_of data lookalikes lookalikes-3 crowded facades coco-mini folder
  one_of mode base control equi inter method
  one_of start scratch continued
  numbers images all
  numbers steps
  numbers seed
  numbers base
  [[ ${word[base]} != *,* && ${word[form]} != *,* ]] || bad_line "base and form have one value"
  [[ ${word[form]} =~ ^[A-Za-z0-9._]+$ ]] || bad_line "form=${word[form]}, must be a name of letters, digits, \".\" and \"_\""
  if [[ ,${word[images]}, == *,all,* ]] && grep -qE 'lookalikes|crowded' <<<"${word[data]}"; then
    bad_line "images=all of data that is drawn; say how many"
  fi
  if [[ ${word[start]} == *continued* && ${word[base]} == 0 ]]; then
    bad_line "start=continued needs base=, the steps of the training that it continues"
  fi
  if [[ ${word[form]} == default && -n $settings ]]; then bad_line "set= needs form=, a name for it in the results"; fi
  if [[ ${word[form]} != default && -z $settings ]]; then bad_line "form=${word[form]} needs set=, what it stands for"; fi
}

# One job for every combination of this line's values.
add_jobs() {
  local model size data images steps mode seed start
  for model in $(values model); do for size in $(values size); do for data in $(values data); do
  for images in $(values images); do for steps in $(values steps); do for start in $(values start); do
  for seed in $(values seed); do for mode in $(values mode); do
    jobs+=("$line $model $size $data $images $steps $mode $seed $start ${word[base]} ${word[form]} $settings")
    take "${jobs[-1]}"
    [[ -z ${line_of[$key]:-} ]] || bad_line "$key stands in line ${line_of[$key]} already"
    line_of[$key]=$line
  done; done; done; done; done; done; done; done
}

read_plan() {
  local line=0 text given name settings
  local -A word
  while read -r text || [[ -n $text ]]; do
    line=$((line + 1))
    text=${text%%#*}
    [[ -n ${text// /} ]] || continue
    word=([size]=small [start]=scratch [base]=0 [form]=default)
    settings=
    for given in $text; do
      name=${given%%=*}
      [[ $given == *=?* ]] || bad_line "\"$given\" is not KEY=VALUE"
      if [[ $name == set ]]; then
        [[ $given == set=?*=?* && $given != *[\"\\]* ]] || bad_line "\"$given\" is not set=KEY=VALUE without quotes"
        settings+=${settings:+ }${given#*=}
      elif [[ " ${words[*]} " == *" $name "* ]]; then
        word[$name]=${given#*=}
      else
        bad_line "\"$name\" is unknown; there are ${words[*]} set"
      fi
    done
    check_line
    add_jobs
  done <"$plan"
  (( ${#jobs[@]} )) || die 78 "the plan \"$plan\" lists nothing"
}

# take JOB   sets the variables named at the top
take() {
  read -r line model size data images steps mode seed start base form settings <<<"$1"
  [[ $start != scratch ]] || base=0
  source_name=$data
  [[ $data != folder ]] || source_name=$(basename "${DATA:-folder}")
  regime=$source_name-$images
  [[ $data != lookalikes ]] || regime=lookalikes-1-$images
  key=$model-$size-$source_name-$images-$steps-$start${base/#0/}-$mode-$form-$seed
}

# variants   of the config, those of this training
variants() { echo "$model,$size,$data,$mode"; }

# in_results   whether RESULTS has this training. The size "r18w16" is what lines of old call "small".
in_results() {
  [[ -e $results ]] || return 1
  awk -v size="$size" -v steps="\"steps\": $steps," -v set="\"settings\": \"$settings\"" -v base="\"base_steps\": $base," \
    -v start="\"start\": \"$start\"" -v model="\"model\": \"$model\"," -v regime="\"regime\": \"$regime\"," \
    -v mode="\"mode\": \"$mode\", \"form\": \"$form\"," -v seed="\"seed\": $seed," '
    function has(text) { return index($0, text) }
    has(model) && has(regime) && has(start) && has(mode) && has(seed) && has(steps) && has(set) &&
      (has("\"size\": \"" size "\"") || size == "small" && has("\"size\": \"r18w16\"")) &&
      (has(base) || !has("\"base_steps\"")) { found = 1; exit }
    END { exit !found }' "$results"
}

# check_settings   lets iuq-train read the config of each kind of training once: a wrong key is found now and not in hours
check_settings() {
  local job kind message setting settings_flags
  local -A seen
  for job in "${jobs[@]}"; do
    take "$job"
    kind="$(variants) $settings"
    [[ -z ${seen[$kind]:-} ]] || continue
    seen[$kind]=1
    ! in_results || continue
    settings_flags=()
    for setting in $settings; do settings_flags+=(--set "$setting"); done
    message=$(iuq-train -c "$config" --variant "$(variants)" "${settings_flags[@]}" --print-config 2>&1 >/dev/null) ||
      bad_line "${message#*error: }"
    case $data in
      facades) [[ -d ${FACADES:-}/annotations ]] || bad_line "set FACADES to the folder with annotations/ and images/" ;;
      coco-mini) [[ -d ${COCO_MINI:-}/annotations ]] || bad_line "set COCO_MINI to the folder with annotations/ and images/" ;;
      folder) [[ -d ${DATA:-}/annotations ]] || bad_line "set DATA to the folder with annotations/ and the images" ;;
    esac
  done
}
