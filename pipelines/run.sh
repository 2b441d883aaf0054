#!/usr/bin/env bash
# run.sh RECIPE   runs pipelines/RECIPE.json with the stages of RECIPE.sh or, where there is none, of the script that the last
# part of its name says: coco.sh for solov2-r50-coco. A config of your own named so becomes a recipe. See common.sh for settings.
set -euo pipefail
export LC_ALL=C
here=$(dirname "${BASH_SOURCE[0]}")
recipe=${1:-}
script=$here/$recipe.sh
[[ -e $script ]] || script=$here/${recipe##*-}.sh
if [[ -z $recipe || ! -e $here/$recipe.json || ! -e $script ]]; then
  recipes=("$here"/*.json)
  recipes=("${recipes[@]##*/}")
  echo "run: error: no recipe \"$recipe\"; there are: ${recipes[*]%.json}" >&2
  exit 64
fi
exec "$script" "$recipe"
