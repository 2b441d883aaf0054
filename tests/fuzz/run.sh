#!/usr/bin/env bash
# The evaluator under AddressSanitizer and UndefinedBehaviorSanitizer: unit tests, broken inputs, then each fuzzer.
# Needs no LibTorch; builds in build-asan/ (or BUILD). An input that breaks something is kept in $BUILD/fuzz/.
# usage: tests/fuzz/run.sh [SECONDS_PER_FUZZER]     default 15; SEED=n for other inputs
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-15}
build=${BUILD:-build-asan}
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export ASAN_OPTIONS=detect_stack_use_after_return=1
suppressions=$(mktemp)
trap 'rm -f "$suppressions"' EXIT
echo "leak:libhdf5" >"$suppressions"  # what it keeps of files that turn out to be broken
export LSAN_OPTIONS=suppressions=$suppressions:print_suppressions=0

# Each source by itself: one that leans on the includes of others in its batch shows here.
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Sanitize -DCMAKE_CXX_FLAGS_SANITIZE=-O1 \
  -DIUQ_WITH_TORCH=OFF -DIUQ_UNITY=OFF -DIUQ_SANITIZE=address,undefined >/dev/null
nice ninja -C "$build" -j"${JOBS:-$(nproc)}" test_io test_mask test_eval test_data iuq-eval fuzz_rle_string fuzz_results_json fuzz_annotations_json
for area in mask io data eval; do
  echo "=== unit tests: $area"
  "$build/bin/test_$area" '~[slow]~[gpu]'
done
echo "=== broken inputs"
IUQ_SECONDS=10 tests/fault/bad_eval.sh "$build/bin"
mkdir -p "$build/fuzz"
build=$(realpath "$build")
cd "$build/fuzz"
for name in rle_string results_json annotations_json; do
  echo "=== fuzzer: $name"
  "$build/bin/fuzz_$name" --seconds "$seconds" --seed "${SEED:-1}" 2> >(grep -v ": warning: " >&2)
done
