#!/usr/bin/env bash
# Broken input for iuq-eval: within a second one line that names file, index and key, the documented exit code, no output.
# usage: bad_eval.sh FOLDER_OF_TOOLS     IUQ_SECONDS: what each may take, for slow builds (default 1)
# shellcheck source=tests/fault/common.sh
source "$(dirname "$0")/common.sh"
shopt -s lastpipe  # what is piped into a function is counted here
seconds=${IUQ_SECONDS:-1}
checks=0

repeat() { printf "%.0s$1" $(seq "$2"); }
polygon='[[4,4,13,4,13,13,4,13]]'
sound='{"size":[64,64],"counts":"PP4"}'  # 4096 pixels of background

# gt SEGMENTATION [AREA] [ID] [MORE]   an annotations file of one image
gt() {
  printf '{"images":[{"id":1,"height":64,"width":64}],"categories":[{"id":1,"name":"disc"}],"annotations":[%s
{"id":%s,"image_id":1,"category_id":1,"area":%s,"bbox":[4,4,9,9],"iscrowd":0,"segmentation":%s}]}' "${4:-}" "${3:-9}" "${2:-81}" "$1"
}
# dt SEGMENTATION [SCORE] [IMAGE] [CATEGORY]   a results list whose second record is this
dt() {
  printf '[{"image_id":1,"category_id":1,"score":0.9,"bbox":[4,4,9,9],"segmentation":%s},
 {"image_id":%s,"category_id":%s,"score":%s,"bbox":[4,4,9,9],"segmentation":%s}]' "$sound" "${3:-1}" "${4:-1}" "${2:-0.5}" "$1"
}

run=(timeout "$seconds" iuq-eval -q --iou both -o out.json)
modes=('' --strict)  # of both, unless a test says otherwise

# bad CODE PATTERN ANNOTATIONS RESULTS   refused, strictly or not, on one thread and on three alike
bad() {
  local mode threads said first
  for mode in "${modes[@]}"; do
    first=
    for threads in 1 3; do
      expect "$1" "$2" out.json -- "${run[@]}" ${mode:+"$mode"} --threads "$threads" --annotations "$3" --predictions "$4"
      (( $(wc -l <stderr.txt) == 1 )) || fail "not one line: $(<stderr.txt)"
      said=$(sed 's/^[0-9:]* //' stderr.txt)  # without the time
      [[ ! -s stdout.txt ]] || fail "printed something beside an error: $3 $4"
      [[ -z $first || $first == "$said" ]] || fail "three threads say $said, one says $first"
      first=$said
    done
    checks=$((checks + 1))
  done
}
strictly() { local modes=(--strict); bad "$@"; }
bad_gt() { cat >bad-gt.json; bad "$1" "bad-gt.json.*$2" bad-gt.json dt.json; }
bad_dt() { cat >bad-dt.json; bad "$1" "bad-dt.json.*$2" gt.json bad-dt.json; }
# lenient PATTERN WARNING   annotations that are refused with PATTERN if strict, else taken with a WARNING
lenient() {
  local modes=(--strict)
  cat >bad-gt.json
  bad 65 "bad-gt.json.*$1" bad-gt.json dt.json
  fine "bad-gt.json.*$2" bad-gt.json dt.json
}
# fine PATTERN ANNOTATIONS RESULTS   accepted as the reference does; PATTERN is in a warning, "" for none
fine() {
  local rc=0
  "${run[@]}" --annotations "$2" --predictions "$3" >stdout.txt 2>stderr.txt || rc=$?
  (( rc == 0 )) || fail "exit $rc: $2 $3: $(<stderr.txt)"
  [[ -z $1 ]] || grep -qE -- "warning: .*$1" stderr.txt || fail "no warning /$1/: $(<stderr.txt)"
  [[ -s out.json ]] || fail "no output: $2 $3"
  rm -f out.json
  checks=$((checks + 1))
}

gt "$polygon" >gt.json
dt "$sound" >dt.json
fine '' gt.json dt.json

# Not the JSON of the kind that is wanted.
for bytes in 0 1 2 100 200 -1; do head -c "$bytes" gt.json | bad_gt 65 'truncated'; done
for bytes in 0 1 60 100 130 -1; do head -c "$bytes" dt.json | bad_dt 65 'truncated'; done
bad 65 'dt.json.*no list "images"' dt.json dt.json
# Broken annotations are told before results are waited for: this pipe never brings any.
mkfifo silent
exec 3<>silent
for results in - silent; do
  expect 65 'dt.json.*no list "images"' out.json -- \
    timeout "$seconds" iuq-eval -q --threads 3 --annotations dt.json --predictions "$results" <&3
done
# A signal ends the wait for a pipe.
rc=0
timeout -k 5 0.3 iuq-eval -q --annotations gt.json --predictions silent -o out.json || rc=$?
checks=$((checks + 1))
(( rc == 124 )) || fail "TERM while iuq-eval waits for a pipe gave exit code $rc"
exec 3<&-
bad 65 'gt.json.*not a list of results' gt.json gt.json
bad 66 'absent.json' gt.json absent.json
bad 66 'absent.json' absent.json dt.json
mkdir -p folder
bad 74 '"folder"' gt.json folder
bad 74 '"folder"' folder dt.json
echo 'no json' | bad_dt 65 "line 1, column 1: 'n'"
{ cat dt.json; echo ']'; } | bad_dt 65 "line 2, .*']' where the end"
printf '[{"image_id":1},\n' | bad_dt 65 'category_id is missing'
printf '[1]' | bad_dt 65 'record 0 is not an object'
printf '[{"a":"\xff\xfe"}]' | bad_dt 65 'UTF-8'
printf '[{"a":"\xed\xa0\x80"}]' | bad_dt 65 'UTF-8'
printf '[{"a":"\\ud800"}]' | bad_dt 65 'surrogate'
printf '[{"a":"\0"}]' | bad_dt 65 'byte 0'
printf '[{"a":\0}]' | bad_dt 65 'byte 0'
head -c 5000 /dev/zero | bad_dt 65 'byte 0'
{ printf '[{"a":'; repeat '[' 100000; } | bad_dt 65 'nested deeper than 64'
{ printf '{"info":'; repeat '{"a":' 100000; } | bad_gt 65 'nested deeper than 64'
{ printf '[{"a":"'; head -c 9000000 /dev/zero | tr '\0' x; } | bad_dt 65 'truncated'
printf '{"images":{},"categories":[],"annotations":[]}' | bad_gt 65 '"images" that is not a list'
printf '{"images":[],"categories":[],"images":[]}' | bad_gt 65 '"images" twice'
printf '{"images":[],"categories":[]}' | bad_gt 65 'no list "annotations"'

# gzip
gzip -c dt.json >whole.gz
fine '' gt.json whole.gz
for bytes in 2 9 30; do head -c "$bytes" whole.gz | bad_dt 65 'gzip data end too early'; done
head -c -4 whole.gz | bad_dt 65 'gzip data end too early'
{ head -c 40 whole.gz; printf XXXX; tail -c +45 whole.gz; } | bad_dt 65 'damaged gzip'

# Numbers
for number in NaN Infinity -Infinity; do dt "$sound" "$number" | bad_dt 65 "\\[1\\]\\.score is $number, must be a number"; done
for number in -NaN nan; do dt "$sound" "$number" | bad_dt 65 'line 2, column'; done
sed 's/"height":64/"gps":[NaN,-Infinity],"height":64/' gt.json >nan.json
fine '' nan.json dt.json
strictly 65 'nan.json.*images\[0\]\.gps\[0\] is NaN.*id 1' nan.json dt.json
sed 's/^{/{"info":{"seed":-Infinity},/' gt.json >nan-info.json
fine '' nan-info.json dt.json
strictly 65 'nan-info.json.*line 1, column 17: -Infinity, which --strict' nan-info.json dt.json
dt "$sound" '0.5,"logit":{"raw":[Infinity]}' >nan-dt.json
fine '' gt.json nan-dt.json
strictly 65 'nan-dt.json.*\[1\]\.logit\.raw\[0\] is Infinity' gt.json nan-dt.json
gt "$polygon" NaN | bad_gt 65 'annotations\[0\]\.area is NaN, must be a number'
dt "$sound" 1e999 | bad_dt 65 'the number 1e999 is too large'
dt "$sound" "$(repeat 1 400)" | bad_dt 65 'the number 1+ is too large'
for number in 01 1. .5 +1 1e 0x10 1_0; do dt "$sound" "$number" | bad_dt 65 'line 2, column'; done
dt "$sound" '"high"' | bad_dt 65 '\[1\]\.score is "high", must be a number'
dt "$sound" null | bad_dt 65 '\[1\]\.score is null, must be a number'
dt "$sound" 0.5 99999999999999999999 | bad_dt 65 '\[1\]\.image_id is 1e\+20, must be an integer of 64 bits'
dt "$sound" 0.5 18446744073709551615 | bad_dt 65 '\[1\]\.image_id is 18446744073709551615'
dt "$sound" 0.5 1.5 | bad_dt 65 '\[1\]\.image_id is 1.5'
dt "$sound" 0.5 '"1"' | bad_dt 65 '\[1\]\.image_id is "1", which is not in the annotations.*its ids are numbers'
dt "$sound" 0.5 77 | bad_dt 65 '\[1\]\.image_id is 77, which is not in the annotations'
dt "$sound" 0.5 1 '[1]' | bad_dt 65 '\[1\]\.category_id is \[1\]'
gt "$polygon" 1e999 | bad_gt 65 'too large'
gt "$polygon" '"81"' | bad_gt 65 'annotations\[0\]\.area is "81"'
gt "$polygon" 81 1e30 | bad_gt 65 'annotations\[0\]\.id is 1e\+30'
sed 's/"height":64/"height":64.5/' gt.json | bad_gt 65 'images\[0\]\.height'

# Missing keys
for key in image_id category_id score bbox; do
  sed -E "2s/\"$key\":(\[[^]]*\]|[^,]*),//" dt.json | bad_dt 65 "\\[1\\]\\.$key is missing"
done
for key in id image_id category_id; do
  sed -E "2s/\"$key\":(\[[^]]*\]|[^,]*),//" gt.json | bad_gt 65 "annotations\\[0\\]\\.$key is missing"
done
for key in area bbox iscrowd; do
  sed -E "2s/\"$key\":(\[[^]]*\]|[^,]*),//" gt.json | lenient "annotations\\[0\\]\\.$key is missing" "without $key"
done
sed 's/,"segmentation":.*\]\]/ /' gt.json | lenient 'annotations\[0\]\.segmentation is missing' 'without segmentation'
sed -E 's/"bbox":\[[^]]*\],//; s/"size":\[64,64\],//' dt.json | bad_dt 65 '\[0\]\.segmentation\.size'

# Masks
seg() { dt "$1" | bad_dt 65 "\\[1\\]\\.segmentation.*$2"; gt "$1" | bad_gt 65 "annotations\\[0\\]\\.segmentation.*$2"; }
# A result needs a mask; an annotation without one is left out.
hollow() { dt "$1" | bad_dt 65 "\\[1\\]\\.segmentation.*$2"; gt "$1" | lenient 'segmentation (is missing or empty|has no polygon)' '(without segmentation|no polygon of three points)'; }
seg '{"size":[64,64],"counts":"PP5"}' 'counts sum to 5120'
seg '{"size":[64,64],"counts":""}' 'counts sum to 0'
seg '{"size":[64,64],"counts":"PP4P"}' 'end inside a run'
seg '{"size":[64,64],"counts":"O"}' 'run 0 the length -1'
seg '{"size":[64,64],"counts":"PPPPPPPPP1"}' 'beyond 32 bits'
seg '{"size":[64,64],"counts":"PP4~"}' 'character'
seg '{"size":[64,64],"counts":"PP4\u0000"}' 'character'
seg '{"size":[64,64],"counts":[4096,-1,1]}' 'counts\[1\] is -1, must be an integer'
seg '{"size":[64,64],"counts":[4095]}' 'counts sum to 4095'
seg '{"size":[64,64],"counts":[4294967296]}' 'counts\[0\] is 4294967296, must be an integer'
seg '{"size":[64,64],"counts":[4294967295,4097]}' 'counts sum to'
seg '{"size":[64,64],"counts":null}' 'counts is null, must be'
seg '{"size":[64],"counts":"PP4"}' 'size is \[64\], must be'
seg '{"size":[64,"64"],"counts":"PP4"}' 'size\[1\]'
seg '{"size":[-64,-64],"counts":"PP4"}' 'size\[0\]'
seg '{"size":[100000,100000],"counts":"PP4"}' '100000 x 100000'
seg '{"size":[100000,100000],"counts":[4096]}' '100000 x 100000'
seg '{"size":[4294967295,4294967295],"counts":[4294967295,4294967295]}' '4294967295 x 4294967295'
seg '{"size":[4294967296,4294967296],"counts":"PP4"}' 'size\[0\]'
seg '{"size":[1e300,1],"counts":"PP4"}' 'size\[0\]'
seg '[[4,4,1e300,4,13,13]]' 'vertex 1'
seg '[[4,4,-1e300,4,13,13]]' 'vertex 1'
hollow '[[4,4,13,4]]' '\[0\] has 4 numbers'
seg '[[4,4,13,4,"13",13]]' '\[0\]\[4\] is "13", must be a number'
seg '[4,4,13,4,13,13]' '\[0\] is 4, must be a list'
hollow '[]' 'is an empty list'
hollow 'null' 'is null, must be a list of polygons or an RLE'
seg '{"size":[64,64],"counts":"b'"'"'PP4'"'"'"}' 'text of Python bytes'
dt "$sound" | sed 's/\[4,4,9,9\]/[4,4,9]/2; 2s/\[4,4,9,9\]/[4,4,9]/' | bad_dt 65 '\[1\]\.bbox is \[4,4,9\], must be four numbers'
sed 's/"height":64/"height":4294967296/' gt.json | bad_gt 65 'annotations\[0\]\.segmentation.*4294967296'
sed 's/"height":64,//' gt.json | bad_gt 65 'annotations\[0\]\.segmentation'

# What the reference takes, this takes.
echo '[]' >empty.json
fine 'empty list' gt.json empty.json
dt "$sound" 0.5 1 77 >foreign.json
fine '' gt.json foreign.json
gt "$polygon" 81 9 '{"id":9,"image_id":1,"category_id":1,"area":4,"bbox":[1,1,2,2],"iscrowd":0,"segmentation":[[1,1,3,1,3,3]]},' >twice.json
fine 'id of an earlier annotation' twice.json dt.json
gt "$polygon" 81 0 >zero.json
fine 'id 0' zero.json dt.json
gt "$polygon" 81 9 '{"id":10,"image_id":55,"category_id":1},{"id":11,"image_id":1,"category_id":55},' >orphans.json
fine 'image_id that is not listed.*category_id that is not listed' orphans.json dt.json
dt '{"size":[65535,65537],"counts":[4294967295]}' | sed 's/\[4,4,9,9\]/[0,0,1e300,1e300]/g' >large.json
fine '' gt.json large.json

(( checks > 100 )) || fail "only $checks checks"
echo "$checks inputs"
finish
