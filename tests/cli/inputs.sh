# What the cases of tools in the middle of the chain share. Their `cmd` sources it in its empty folder and then names what
# it needs: make_model, make_features, make_negatives, each with what comes before it.
# shellcheck shell=bash
set -o pipefail
CONFIG=$SOURCE/tests/support/tiny.json
ANNOTATIONS=scenes/annotations/instances_train.json
given=(-c "$CONFIG" --annotations "$ANNOTATIONS")

make_model() {
  iuq-synth -q -c "$CONFIG" --images 4 --val-images 0 -o scenes
  iuq-train -q "${given[@]}" --variant base --set train.steps=1 --set train.batch=2 --images scenes/images -o base
}
cache=(iuq-cache "${given[@]}" --images scenes/images --model base/model.safetensors)
make_features() {
  make_model
  "${cache[@]}" -q -o features.h5
}
mine=(iuq-mine "${given[@]}" --model base/model.safetensors)
make_negatives() {
  make_features
  "${mine[@]}" -q --features features.h5 -o negatives.h5
}

# said WHAT COMMAND...   runs it under the heading WHAT on both streams, and tells an exit code that is not 0. What differs
# between machines and builds is replaced: digests, versions, free space.
said() {
  local rc=0
  echo "# $1"
  echo "# $1" >&2
  "${@:2}" >said.stdout 2>said.stderr || rc=$?
  same_everywhere <said.stdout
  same_everywhere <said.stderr >&2
  rm said.stdout said.stderr
  (( rc == 0 )) || echo "exit $rc"
}
same_everywhere() {
  sed -E -e 's/\b[0-9a-f]{32}\b/<digest>/g; s/(=|iuq-[a-z]+-)[0-9a-f]{12}\b/\1<digest>/g' \
    -e 's/[0-9]+\.[0-9]+\.[0-9]+, ([0-9a-f]{7,40}(-dirty)?|unknown)/<version>/g' \
    -e 's/(free at .*): [0-9.]+ [kMGT]?B/\1: <free>/'
}
