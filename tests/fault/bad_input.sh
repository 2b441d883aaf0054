#!/usr/bin/env bash
# Broken inputs of every kind: one clear line, the documented exit code, nothing left behind.
# usage: bad_input.sh FOLDER_OF_TOOLS
# shellcheck source=tests/fault/common.sh
source "$(dirname "$0")/common.sh"
CONFIG=$SOURCE/tests/support/tiny.json
iuq-synth -q -c "$CONFIG" -o scenes
A=scenes/annotations/instances_train.json
I=scenes/images
mkdir broken

# a COCO file of one image with one annotation; $1 the segmentation, $2 image_id, $3 area, $4 the image's file
coco() {
  printf '{"images":[{"id":1,"file_name":"%s","height":64,"width":64}],"categories":[{"id":1,"name":"disc"}],
"annotations":[{"id":9,"image_id":%s,"category_id":1,"area":%s,"bbox":[4,4,9,9],"iscrowd":0,"segmentation":%s}]}' \
    "${4:-train/000000000001.png}" "${2:-1}" "${3:-81}" "$1"
}
train=(iuq-train -q -c "$CONFIG" --set train.steps=2 --images "$I")
square='[[4,4,13,4,13,13,4,13]]'

head -c 300 "$A" >broken/cut.json
expect 65 'cut.json' out -- "${train[@]}" -o out --annotations broken/cut.json
expect 66 'absent.json' out -- "${train[@]}" -o out --annotations absent.json
if [[ $EUID != 0 ]]; then
  cp "$A" broken/unreadable.json; chmod 000 broken/unreadable.json
  expect 66 'unreadable.json' out -- "${train[@]}" -o out --annotations broken/unreadable.json
fi
coco "$square" 1 '"large"' >broken/string.json
expect 65 'string.json.*area.*large' out -- "${train[@]}" -o out --annotations broken/string.json
# What is left out leaves nothing here; strictly it is the error itself.
coco "$square" 77 >broken/orphan.json
expect 65 'orphan.json.*annotations.0..image_id is of no image .id 9' out -- "${train[@]}" --strict -o out --annotations broken/orphan.json
expect 65 'no image with instances to train on' out -- "${train[@]}" -o out --annotations broken/orphan.json
coco '[[4,4,13,4,13]]' >broken/five.json
expect 65 'five.json.*segmentation has no polygon of three points.*id 9' out -- "${train[@]}" --strict -o out --annotations broken/five.json
expect 65 'no image with instances to train on' out -- "${train[@]}" -o out --annotations broken/five.json
coco '{"size":[32,64],"counts":[0,2048]}' >broken/size.json
expect 65 'size.json.*9' out -- "${train[@]}" -o out --annotations broken/size.json
coco '{"size":[64,64],"counts":[0,100]}' >broken/sum.json
expect 65 'sum.json.*9' out -- "${train[@]}" -o out --annotations broken/sum.json
mkdir -p texts && echo 'not a picture' >texts/a.jpg
coco "$square" 1 81 a.jpg >broken/text.json
expect 65 'texts/a.jpg' out -- iuq-train -q -c "$CONFIG" --annotations broken/text.json --images texts -o out
expect 78 'train.stepz.*did you mean "steps"' out -- "${train[@]}" -o out --annotations "$A" --set train.stepz=3
expect 78 'trian' out -- "${train[@]}" -o out --annotations "$A" --set trian.steps=3
expect 78 'train.steps.*many' out -- "${train[@]}" -o out --annotations "$A" --set train.steps=many
expect 64 'nowhere' out -- "${train[@]}" -o out --annotations "$A" --device nowhere
expect 69 'cuda:99' out -- "${train[@]}" -o out --annotations "$A" --device cuda:99
expect 64 '' out -- iuq-train --annotations "$A"

iuq-train -q -c "$CONFIG" --variant base --set train.steps=2 --annotations "$A" --images "$I" -o base
M=base/model.safetensors
expect 65 'kernel_pred' out -- "${train[@]}" -o out --annotations "$A" --weights "$M" --set model.embedding=32
head -c 2000 "$M" >broken/cut.safetensors
expect 65 'cut.safetensors' out -- "${train[@]}" -o out --annotations "$A" --weights broken/cut.safetensors
echo text >broken/text.safetensors
predict=(iuq-predict -q --annotations "$A" --images "$I")
expect 65 'text.safetensors' out.json -- "${predict[@]}" -o out.json --model broken/text.safetensors
sed 's#"train/000000000001.png"#"a.jpg"#' "$A" >broken/named.json
cp -r "$I"/. texts/
expect 65 'texts/a.jpg' out.json -- iuq-predict -q --annotations broken/named.json --images texts --model "$M" -o out.json

cache=(iuq-cache -q -c "$CONFIG" --annotations "$A" --images "$I" --model "$M")
"${cache[@]}" -o features.h5
for bytes in 100 3000 60000; do
  head -c "$bytes" features.h5 >"broken/cut$bytes.h5"
  expect 65 "cut$bytes.h5" out -- "${train[@]}" -o out --annotations "$A" --weights "$M" --features "broken/cut$bytes.h5"
done
expect 65 'another backbone' out -- "${train[@]}" -o out --annotations "$A" --features features.h5
# Features are found by the image's id, so those of another file are taken, but not in silence.
sed '1s/{/{ /' "$A" >other.json
cached_training() { "${train[@]}" -n -o out --annotations "$1" --weights "$M" --features features.h5 2>&1; }
if cached_training "$A" | grep 'another annotations file'; then fail "a warning of the very annotations"; fi
cached_training other.json | grep 'another annotations file' >/dev/null || fail "no warning of features of other annotations"
expect 73 'no/such/folder' no -- "${predict[@]}" --model "$M" -o no/such/folder/out.json
echo '[{"image_id": 1, "category_id": 1, "score": "high", "segmentation": {}}]' >broken/results.json
expect 65 'results.json.*score' out.json -- iuq-eval -q --annotations "$A" --predictions broken/results.json -o out.json

# A full disk: a small file system where that can be had, else a limit on the size of files, which fails writes alike.
full() { (ulimit -f 16; exec "$@"); }
mkdir small
if mount -t tmpfs -o size=64k none small 2>/dev/null; then
  trap 'umount "$WORK/small"; rm -rf "$WORK"' EXIT
  full() { "$@"; }
fi
expect 74 'small/f.h5' small/f.h5 -- full "${cache[@]}" -o small/f.h5
expect 74 'small' small/run/model -- full "${train[@]}" --annotations "$A" -o small/run
rm -rf small/*
expect 74 'small' small/scenes -- full iuq-synth -q -c "$CONFIG" -o small/scenes
finish
