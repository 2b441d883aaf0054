#!/usr/bin/env bash
# Stands for any iuq-* tool in the tests of the pipelines, by a link of that name. Writes what it was called with to
# $CALLS and makes the outputs that later stages read. STAND_IN_<TOOL>=code lets it fail, with "73once" at first only.
set -euo pipefail
tool=$(basename "$0" | sed 's/^iuq-//')
if [[ ${1:-} == --version ]]; then printf 'iuq-%s 0.0.0 (stand-in)\nbuilt with stand-ins\n' "$tool"; exit; fi
echo "iuq-$tool $*" >>"$CALLS"
output='' shard=''
arguments=("$@")
for (( i = 0; i < $#; ++i )); do
  case ${arguments[i]} in
    -o) output=${arguments[i + 1]} ;;
    --shard) shard=${arguments[i + 1]} ;;
  esac
done
echo "iuq-$tool: working" >&2
wanted=STAND_IN_${tool^^}
if [[ -n ${!wanted:-} ]]; then
  if [[ ${!wanted} != 73once ]]; then exit "${!wanted}"; fi
  [[ " $* " == *" --force "* ]] || exit 73
fi
case $tool in
  synth)
    mkdir -p "$output/annotations" "$output/images"
    echo '{}' | tee "$output/annotations/instances_train.json" >"$output/annotations/instances_val.json"
    ;;
  train) mkdir -p "$output"; echo weights >"$output/model.safetensors" ;;
  cache)
    if [[ -n $shard ]]; then
      output=$output/$(printf 'shard-%03d-of-%03d.h5' "${shard%/*}" "${shard#*/}")
    fi
    mkdir -p "$(dirname "$output")"
    echo features >"$output"
    ;;
  eval)
    protocol=coco more=
    [[ " $* " != *" --style lvis "* ]] || protocol=lvis more=', "APr": 0.5, "APc": 0.6, "APf": 0.7'
    if [[ " $* " == *" --compare "* ]]; then
      more+='}, "comparison": {"types": [{"stats": [{"difference": 0.05, "low": 0.01, "high": 0.09}, {}, {"difference": -0.02, "low": -0.03, "high": 0}]}]'
    fi
    printf '{"config": {"protocol": "%s"}, "per_category": [{"AP": 0.9}],\n "stats": {"AP": 0.25, "AP50": 5e-1, "AP75": 0.2, "APs": -1, "APm": 0.3, "APl": 0.4%s}}\n' \
      "$protocol" "$more" >"$output"
    ;;
  *) echo made >"$output" ;;
esac
