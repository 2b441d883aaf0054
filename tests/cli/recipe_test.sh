#!/usr/bin/env bash
# The recipes with stand-in tools: every stage gets what an earlier one made, and the summary is right. iuq-info is the real
# one, as the summary is made of what it reads.
# usage: recipe_test.sh FOLDER_OF_TOOLS
set -uo pipefail
source_dir=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
# shellcheck source=tests/cli/check.sh
source "$source_dir/tests/cli/check.sh"
unset FROM TO DRY FORCE MODEL METHOD DEVICE SHARDS LAUNCH RECIPE BUILD ONLY WEIGHTS

export CALLS=$TMP/calls RUNS=$TMP/runs TOOLS=$TMP/bin
OUTPUT=$TMP/output
mkdir "$TMP/bin"
ln -s "$(realpath "$1")/iuq-info" "$TMP/bin/iuq-info"
for tool in synth train cache mine predict eval convert; do
  ln -s "$source_dir/tests/cli/stand_in.sh" "$TMP/bin/iuq-$tool"
done

METRICS=(AP AP50 AP75 APs APm APl)

recipe() {
  local name=$1
  shift
  : >"$CALLS"
  rc=0
  env "$@" "$source_dir/pipelines/run.sh" "$name" >"$OUTPUT" 2>"$TMP/stderr" || rc=$?
}

recipe toy DRY=1
expect "toy can be looked at without anything built" same "$rc" 0
expect "a look writes nothing" test ! -e "$RUNS"
expect "a look shows the last stage" has "$TMP/stderr" "70-summary: would run"

recipe toy
expect "toy runs" same "$rc" 0
expect "toy calls 1 + 3 trainings + cache + mine + 3 predictions + 3 evaluations + 1 comparison" same "$(wc -l <"$CALLS")" 13
expect "the table has all three runs in percent" same "$(grep -cE '^(base|control|method) +25\.0 +50\.0 +20\.0 +- +30\.0 +40\.0$' "$OUTPUT")" 3
expect "and what the method adds, with intervals" has "$OUTPUT" "method over control:  AP +5.0 [+1.0, +9.0]  AP75 -2.0 [-3.0, +0.0] "
expect "the gain is in the summary" same "$("$TOOLS/iuq-info" --get method_gain.low "$RUNS/toy/summary.json")" 0.01
expect "the summary has the headline numbers" has "$RUNS/toy/summary.json" '"base_ap": 0.25, "control_ap": 0.25, "method_ap": 0.25'
expect "the summary has the seconds of each stage" has "$RUNS/toy/summary.json" '"41-method": '
expect "the summary has the version" has "$RUNS/toy/summary.json" '"versions": {"iuq": "0.0.0 (stand-in)", "built_with": "stand-ins"}'
expect "the summary has the 6 numbers of a run as its ap.json writes them" same \
  "$("$TOOLS/iuq-info" "${METRICS[@]/#/--get=results.control.}" "$RUNS/toy/summary.json" | tr '\n' ' ')" "0.25 5e-1 0.2 -1 0.3 0.4 "
recipe toy
expect "a second run calls nothing" same "$(wc -l <"$CALLS")" 0
expect "and still shows the table" has "$OUTPUT" "method"

recipe toy MODEL=solov2 SHARDS=3 LOCAL_JOBS=2
expect "shards are cached one by one" same "$(grep -c '^iuq-cache.*--shard [0-2]/3' "$CALLS")" 3
expect "training reads all shards" has "$CALLS" "shard-000-of-003.h5 $RUNS/toy-solov2/features/shard-001-of-003.h5 "

recipe toy SEED=7
expect "another seed is another run" test -s "$RUNS/toy-seed7/summary.json"
expect "every tool that draws is told of it" same "$(grep -c -- '--seed 7' "$CALLS")" 9
recipe toy METHOD='a b'
expect "a METHOD that is no name is refused" same "$rc" 64
recipe toy DRY=1 METHOD=paper
expect "so is one that the config does not have, before anything is trained" same "$rc" 64
recipe toy SEED=x
expect "a seed must be a number" same "$rc" 64

recipe coco
expect "coco without DATA is a usage error" same "$rc" 64
mkdir -p "$TMP/coco/annotations" "$TMP/coco/train2017" "$TMP/coco/val2017"
echo '{}' | tee "$TMP/coco/annotations/instances_train2017.json" >"$TMP/coco/annotations/instances_val2017.json"
recipe coco DRY=1 METHOD=paper DATA="$TMP/coco"
expect "METHOD names the variant that control is compared with" has "$TMP/stderr" "'--variant' 'paper'"
expect "and leaves the others" has "$TMP/stderr" "'--variant' 'control'"
echo pretrained >"$TMP/r50.pth"
recipe coco DATA="$TMP/coco" WEIGHTS="$TMP/r50.pth"
expect "coco runs" same "$rc" 0
expect "coco starts from the converted weights" has "$CALLS" "--weights $RUNS/coco/weights.safetensors"
expect "coco predicts on the validation images" has "$CALLS" "--images $TMP/coco/val2017"


recipe nothing-coco
expect "an unknown recipe is a usage error" same "$rc" 64
expect "and the message names those there are" has "$TMP/stderr" " solov2-r50-lvis "

recipe solov2-r50-coco DATA="$TMP/coco" WEIGHTS="$TMP/r50.pth" DEVICE=cuda
expect "a recipe without a script of its own runs the stages of coco" same "$rc" 0
expect "its config is its own" has "$CALLS" "iuq-train -c pipelines/solov2-r50-coco.json --variant base"
expect "its outputs too" test -s "$RUNS/solov2-r50-coco/summary.json"
expect "without cached views it trains on images" same "$(grep -c '^iuq-train.*--images' "$CALLS")" 3
expect "and neither caches nor mines" same "$(grep -cE '^iuq-(cache|mine)|--features|--negatives' "$CALLS")" 0
expect "networks run where DEVICE says" same "$(grep -cE '^iuq-(train|predict) .*--device cuda' "$CALLS")" 6

mkdir -p "$TMP/lvis/annotations"
echo '{}' | tee "$TMP/lvis/annotations/lvis_v1_train.json" >"$TMP/lvis/annotations/lvis_v1_val.json"
recipe solov2-r50-lvis DATA="$TMP/lvis" WEIGHTS="$TMP/r50.pth"
expect "lvis runs" same "$rc" 0
expect "lvis judges as LVIS does" same "$(grep -c '^iuq-eval .*lvis_v1_val.json.* --style lvis ' "$CALLS")" 4
expect "its table has the groups of categories" has "$OUTPUT" "APr    APc    APf"
expect "and its summary too" same "$("$TOOLS/iuq-info" --get results.method.APf "$RUNS/solov2-r50-lvis/summary.json")" 0.7
expect "lvis finds images by the folders that the annotations name" has "$CALLS" "--images $TMP/lvis --"

printf 'source "%s/pipelines/common.sh"\nhas_section cache\n' "$source_dir" >"$TMP/sections.sh"
# cached CONFIG_TEXT   whether a recipe with this config has a section "cache"
cached() { printf '%s' "$1" >"$TMP/sections.json"; bash "$TMP/sections.sh" 2>"$TMP/stderr"; }
expect "a section is found however the config is laid out" cached $'{"a": [{"b": {}}],\n"cache" : {}}'
expect "a key of that name within a variant is no section" same "$(cached '{"variants": {"mini": {"cache": {"views": 3}}}}'; echo $?)" 1
expect "nor is the word in a text" same "$(cached '{"about": "no \"cache\": { here", "b": ["cache"]}'; echo $?)" 1
expect "nor is a bracket or a word in a comment" cached $'{\n// (in [0, 1); "x": {\n"cache": {}}'
expect "nor a section in a comment" same "$(cached $'{\n// "cache": {}\n"mine": {}}'; echo $?)" 1

check_end
