#!/usr/bin/env bash
# No tool writes over what it reads, takes one checkpoint for another, or takes an empty path for none.
# usage: kept_inputs.sh FOLDER_OF_TOOLS
# shellcheck source=tests/fault/common.sh
source "$(dirname "$0")/common.sh"
CONFIG=$SOURCE/tests/support/tiny.json
iuq-synth -q -c "$CONFIG" -o scenes
A=scenes/annotations/instances_train.json
I=scenes/images
train=(iuq-train -q -c "$CONFIG" --set train.steps=4 --set train.checkpoint_every=2 --annotations "$A" --images "$I")
"${train[@]}" -o base
M=base/model.safetensors
predict=(iuq-predict -q --annotations "$A" --images "$I" --model "$M")
"${predict[@]}" -o found.json
iuq-cache -q -c "$CONFIG" --annotations "$A" --images "$I" --model "$M" -o f.h5
kept=("$A" "$M" found.json f.h5)
before=$(md5sum "${kept[@]}")

expect 64 'also an input' none -- "${predict[@]}" -f -o "base/../$M"
expect 64 'also an input' none -- "${predict[@]}" -f -o "$A"
expect 64 'also an input' none -- iuq-predict -q --annotations "$A" --features f.h5 --model "$M" -f -o ./f.h5
expect 64 'also an input' none -- iuq-convert -q --input "$M" -f -o "$M"
expect 64 'also an input' none -- iuq-eval -q --annotations "$A" --predictions found.json -f -o found.json
expect 64 'holds the input' none -- "${train[@]}" --weights "$M" -f -o base
cp "$CONFIG" scenes/own.json
expect 64 'holds the input' none -- iuq-synth -q -c scenes/own.json -f -o scenes
expect 64 'also an input' none -- "${predict[@]}" -o none.json --contact-sheet "$M"
expect 73 'is no PNG' none -- "${predict[@]}" -o none.json --contact-sheet found.json
expect 73 'folder' none -- "${predict[@]}" -o none.json --contact-sheet no/such/sheet.png
expect 64 'empty' none -- "${train[@]}" -o ''
expect 64 'empty' none -- "${train[@]}" --weights '' -o none
expect 64 'empty' none -- iuq-predict -q --annotations "$A" --images "$I" --model '' -o none.json
expect 66 'is a folder' none -- iuq-train -q -c scenes --annotations "$A" --images "$I" -o none
[[ $(md5sum "${kept[@]}") == "$before" ]] || fail "an input was changed"

# The checkpoints of a run share where they come from, not what they hold.
expect 73 'made otherwise' none -- iuq-predict -q --annotations "$A" --images "$I" \
  --model base/checkpoints/step-00000002/model.safetensors -o found.json
expect 73 'made otherwise' none -- iuq-cache -q -c "$CONFIG" --annotations "$A" --images "$I" \
  --model base/checkpoints/step-00000002/model.safetensors -o f.h5
expect 78 'set predict.long_side' none -- "${predict[@]}" -o none.json --short-side 4096
"${predict[@]}" -o found.json 2>stderr.txt || fail "what is up to date is refused: $(<stderr.txt)"
iuq-convert -q --input "$M" --to mmdet -o to.safetensors
expect 73 'made otherwise' none -- iuq-convert -q --input base/checkpoints/step-00000002/model.safetensors --to mmdet \
  -o to.safetensors
expect 66 'not a file' none -- iuq-convert -q --input /dev/zero -o none.safetensors
cp found.json whole.json
truncate -s 100 found.json
expect 73 'made otherwise' none -- "${predict[@]}" -o found.json
mv whole.json found.json

# The config's model is not the checkpoint's: it is judged, and its reader told.
expect 78 'bogus' none -- "${predict[@]}" -o none.json --set model.name=solov2 --set model.bogus=1
iuq-predict -q --annotations "$A" --images "$I" --model "$M" -c "$CONFIG" --set model.embedding=32 -f -o other.json 2>stderr.txt
grep -q 'warning: .*differs at "model/embedding"' stderr.txt || fail "no warning of another model: $(<stderr.txt)"
expect 78 'score_threshold' none -- "${predict[@]}" -o none.json --score-threshold nan
finish
