# How evidence.sh makes one line of its results. What a training is stands in the variables that take() sets (plan.sh).
# shellcheck shell=bash disable=SC2153,SC2154

# prepare_data   sets truth_train, truth_val, images_train, images_val and subset (flags of iuq-train). Drawn data are made
# unless they are there; scenes of fewer images are the first of those of more.
prepare_data() {
  local root
  subset=()
  case $data in
    facades) root=$FACADES ;;
    coco-mini) root=$COCO_MINI ;;
    folder) root=$DATA ;;
    *)
      root=$run/scenes/$data-$size-$images
      mkdir -p "$run/scenes"
      exec 9>"$root.lock"
      flock 9
      iuq-synth -c "$config" --variant "$(variants)" --set "synth.images=$images" -o "$root" -q 9>&- || return
      exec 9>&-
      ;;
  esac
  if [[ $data =~ ^(facades|coco-mini|folder)$ && $images != all ]]; then subset=(--set "train.images=$images"); fi
  local split
  for split in train val; do
    local truth=$root/annotations/instances_$split.json folder=$root/images
    [[ -e $truth ]] || truth=$root/annotations/instances_${split}2017.json
    [[ -e $truth ]] || { echo "evidence: error: $root/annotations has no instances_$split.json" >&2; return 66; }
    [[ -d $folder ]] || folder=$root/${split}2017
    [[ -d $folder ]] || folder=$root
    printf -v "truth_$split" '%s' "$truth"
    printf -v "images_$split" '%s' "$folder"
  done
}

# judge FOLDER   predictions of the model in FOLDER, their AP with the breakdown of errors, and the AP of their boundaries
judge() {
  iuq-predict -c "$config" --variant "$(variants)" --annotations "$truth_val" --images "$images_val" \
    --model "$1/model.safetensors" --threads "$OMP_NUM_THREADS" "${device[@]}" -f -o "$1/predictions.json" &&
    iuq-eval --annotations "$truth_val" --predictions "$1/predictions.json" --errors -f -o "$1/ap.json" >/dev/null &&
    iuq-eval --annotations "$truth_val" --predictions "$1/predictions.json" --iou boundary -f -o "$1/boundary.json" >/dev/null
}

# intervals METRICS   seconds and steps of each line of the metrics
intervals() {
  sed -n 's/.*"seconds":\([0-9.e+-]*\),.*"step":\([0-9]*\).*/\1 \2/p' "$1" | awk '{ print $1, $2 - last; last = $2 }'
}

# result FOLDER   the line of the results
result() {
  local ap tide own boundary seconds step_ms weight entry=0
  ap=$(iuq-info --get=stats.{AP,AP50,AP75,APs,APm,APl} "$1/ap.json") || return
  tide=$(iuq-info --get=errors.0.errors.{0..5}.gain "$1/ap.json") || return
  boundary=$(iuq-info --get stats.AP "$1/boundary.json") || return
  iuq-info --json "$1/model.safetensors" >"$1/model.json" || return
  [[ $start == scratch ]] || entry=1  # the first is of the base
  own=provenance.entries.$entry
  own=$(iuq-info --get="$own".config.train.{lr,batch} --get="$own".{version,git} --get provenance.digest \
    "$1/model.json") || return
  # CondInst has none: 1 stands for its losses as they are.
  weight=$(iuq-info --get "provenance.entries.$entry.config.model.mask_weight" "$1/model.json" 2>/dev/null) || weight=1
  seconds=$(intervals "$1/metrics.jsonl" | awk '{ s += $1 } END { print s + 0 }')
  step_ms=$(intervals "$1/metrics.jsonl" | awk '$2 > 0 { print 1000 * $1 / $2 }' | sort -g |
    awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }')
  mapfile -t ap <<<"$ap"
  mapfile -t tide <<<"$tide"
  mapfile -t own <<<"$own"
  printf '{"model": "%s", "size": "%s", "regime": "%s", "data": "%s", "images": "%s", ' \
    "$model" "$size" "$regime" "$source_name" "$images"
  printf '"start": "%s", "base_steps": %s, "source": "images", "mode": "%s", "form": "%s", ' "$start" "$base" "$mode" "$form"
  printf '"mask_weight": %s, "lr": %s, "seed": %s, ' "$weight" "${own[0]}" "$seed"
  printf '"ap": %s, "ap50": %s, "ap75": %s, "aps": %s, "apm": %s, "apl": %s, "ap_boundary": %s, ' "${ap[@]}" "$boundary"
  printf '"tide": {"class": %s, "loc": %s, "both": %s, "duplicate": %s, "background": %s, "missed": %s}, ' "${tide[@]}"
  printf '"seconds": %s, "step_ms": %s, "steps": %s, "images_seen": %s, ' "$seconds" "$step_ms" "$steps" "$((steps * own[1]))"
  printf '"settings": "%s", "config_digest": "%s", "iuq": "%s (%s)"}\n' "$settings" "${own[4]}" "${own[2]}" "${own[3]}"
}

# train_one [WEIGHTS]   trains, judges, and adds the line to the results; goes on where it was interrupted
train_one() {
  local settings_flags=(--set "train.steps=$steps") setting folder=$run/$key
  for setting in $settings; do settings_flags+=(--set "$setting"); done
  prepare_data || return
  iuq-train -c "$config" --variant "$(variants)" "${settings_flags[@]}" "${subset[@]}" --seed "$seed" \
    --threads "$OMP_NUM_THREADS" --resume "${device[@]}" ${1:+--weights "$1"} \
    --annotations "$truth_train" --images "$images_train" -o "$folder" || return
  judge "$folder" || return
  result "$folder" >"$run/$key.line" || return
  # Two shells may write at once, and one may have been killed right after it wrote.
  exec 9>"$run/results.lock"
  flock 9
  in_results || cat "$run/$key.line" >>"$results" || return
  exec 9>&-
  rm "$run/$key.line"
}

# make_base ROUND   the training that this one continues; sets base_model, which stays empty while another shell trains it.
# In the second round it is waited for.
make_base() {
  local job="$line $model $size $data $images $base base 1 scratch 0 default"
  local line model size data images steps mode seed start base form settings regime key source_name lock rc=0 wait_flag=-n
  take "$job"
  base_model=
  if [[ ! -e $run/$key.judged ]]; then
    [[ $1 == first ]] || wait_flag=
    exec {lock}>"$run/$key.lock"
    if ! flock ${wait_flag:+"$wait_flag"} "$lock"; then exec {lock}>&-; return 0; fi
    if [[ ! -e $run/$key.judged ]]; then
      say "$key"
      train_one 2>>"$run/$key.log" && touch "$run/$key.judged" || rc=$?
    fi
    exec {lock}>&-
  fi
  (( rc )) || base_model=$run/$key/model.safetensors
  return "$rc"
}

# train_job JOB ROUND   unless it is done or another shell is at it
train_job() {
  local lock base_model='' rc=0
  take "$1"
  ! in_results || return 0
  if [[ $start == continued ]]; then
    make_base "$2" || return
    [[ -n $base_model ]] || return 0
  fi
  exec {lock}>"$run/$key.lock"
  if flock -n "$lock" && ! in_results; then
    say "$key"
    train_one "$base_model" 2>>"$run/$key.log" || rc=$?
  fi
  exec {lock}>&-
  return "$rc"
}
