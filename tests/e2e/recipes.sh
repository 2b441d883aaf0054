#!/usr/bin/env bash
# Every recipe's config is read by the tools, for base, control and method and as a rehearsal where it has one, and what is
# compared differs only where it should.
# usage: recipes.sh FOLDER_OF_TOOLS
set -euo pipefail
export LC_ALL=C OMP_NUM_THREADS=1
PATH=$(realpath "$1"):$PATH
cd "$(dirname "$0")/../.."
fail() { echo "FAILED: $1" >&2; exit 1; }
# effective RECIPE VARIANT...   the config that a training of these variants has
effective() {
  local variants
  variants=$(IFS=,; echo "${*:2}")
  iuq-train -c "pipelines/$1.json" --variant "$variants" --print-config || fail "$1 with $variants"
}
# differing_keys CONFIG CONFIG   the keys of printed configs, a line each, that have another value
differing_keys() { comm -3 <(sort <<<"$1") <(sort <<<"$2") | grep -oE '^\s*"[^"]+":' | tr -d '\t ":' | sort -u; }

for config in pipelines/*.json; do
  recipe=$(basename "$config" .json)
  grep -q '"about"' "$config" || fail "$recipe does not say what it is about"
  iuq-predict -c "$config" --print-config >/dev/null || fail "$recipe: predict"
  base=$(effective "$recipe" base) control=$(effective "$recipe" control) method=$(effective "$recipe" method)
  [[ $base != "$control" && $control != "$method" ]] || fail "$recipe: two variants are the same"
  # What control lacks is the method, and nothing else.
  differences=$(differing_keys "$control" "$method" | grep -vxE 'batching|equi_every|equi_weight|inter_weight' || true)
  [[ -z $differences ]] || fail "$recipe: control and method differ in ${differences//$'\n'/, }"
  [[ $(iuq-info --get uniq.equi_weight --get uniq.inter_weight - <<<"$base") == $'0.0\n0.0' ]] ||
    fail "$recipe: base has the method's terms"
  if grep -q '"paper"' "$config"; then
    paper=$(effective "$recipe" paper)
    [[ $(iuq-info --get uniq.equi_weight --get uniq.inter_weight --get uniq.equi_every - <<<"$paper") == $'3.0\n1.0\n1' ]] ||
      fail "$recipe: variant paper has other weights than the paper"
  fi
  if grep -q '"mini"' "$config"; then effective "$recipe" mini base >/dev/null; effective "$recipe" mini method >/dev/null; fi
done

# The sizes of the benchmark, which only long trainings use.
for model in solov2 condinst sotr mask2former; do
  for size in large r50; do effective evidence "$model" "$size" crowded equi >/dev/null; done
done

# What the published recipes say: BGR images, frozen norms, stem and res2 frozen, strides where MSRA's weights need them.
for recipe in {solov2,condinst,sotr}-r{50,101}-coco solov2-r50-lvis; do
  config=$(effective "$recipe" base)
  for wanted in '"order": "BGR"' '"norm": "frozen"' '"freeze": 2' '"stride_in_1x1": true' '"optimizer": "sgd"' '"lr": 0.01' \
    '"weight_decay": 0.0001' '"norm_weight_decay": 0.0' '"pairs": false' '"warmup": 1000'; do
    grep -qF "$wanted" <<<"$config" || fail "$recipe lacks $wanted"
  done
done
config=$(effective solov2-r50-lvis base)
for wanted in '"repeat_threshold": 0.001' '"max_detections": 300'; do grep -qF "$wanted" <<<"$config" || fail "LVIS lacks $wanted"; done
iuq-predict -c pipelines/solov2-r50-lvis.json --print-config | grep -F '"max_detections": 300' >/dev/null || fail "LVIS predicts too few"
echo "all checks passed"
