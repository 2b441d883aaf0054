#!/usr/bin/env bash
# Makes this machine able to build iuq: installs what is missing, and only that. `make deps` and `make test` call it.
#
#   scripts/deps.sh [lint|format|slurm]...   the words add what `make lint`, `make format` and the Slurm test need
#
# Packages come from the distribution (Debian 12, Ubuntu 22.04 and newer) and need root or sudo; with everything there,
# neither is asked for. LibTorch is, in this order: what CMake finds in CMAKE_PREFIX_PATH, Torch_DIR or an importable
# Python torch >= 2.1; the PyTorch wheel, unpacked into .deps/; the distribution's libtorch-dev.
#   IUQ_TORCH=system   take libtorch-dev        IUQ_TORCH=/folder   take that LibTorch and install none
# What was chosen and what was installed is kept in .deps/STATUS.
# Exit codes: 0 everything is there, 64 wrong word, 69 something is missing and cannot be installed.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly torch_version=2.13.0
readonly wheel_dir=.deps/torch-$torch_version
readonly status_file=.deps/STATUS
torch_choice=${IUQ_TORCH:-auto}
scratch=

say() { echo "deps: $*" >&2; }
die() { echo "deps: error: $*" >&2; exit 69; }
trap '[[ -z $scratch ]] || rm -rf "$scratch"' EXIT

# --- what is missing -------------------------------------------------------------------------------------------------

has_gxx11() {
  local version
  version=$(g++ -dumpversion 2>/dev/null) && (( ${version%%.*} >= 11 ))
}

# has_file PATTERN...   any of these, in the usual places or below CMAKE_PREFIX_PATH
has_file() {
  local prefix pattern prefixes=()
  IFS=: read -r -a prefixes <<<"${CMAKE_PREFIX_PATH:-}"
  for prefix in "${prefixes[@]}" /usr/local /usr; do
    for pattern in "$@"; do
      compgen -G "$prefix/$pattern" >/dev/null && return
    done
  done
  return 1
}

# has_opencv MODULE   as scripts/cmake/FindIuqOpenCV.cmake looks for it. Modules are asked for by name, as libopencv-dev has
# all of them and what they need (Qt, VTK, ...): 213 packages more on Debian 12.
has_opencv() {
  [[ -e ${OpenCV_DIR:-}/OpenCVConfig.cmake ]] ||
    has_file 'lib/*/cmake/opencv4/OpenCVConfig.cmake' 'lib*/cmake/opencv4/OpenCVConfig.cmake' ||
    { has_file "include/opencv4/opencv2/$1.hpp" "include/opencv2/$1.hpp" &&
      has_file "lib/*/libopencv_$1.so" "lib*/libopencv_$1.so"; }
}

missing=()
need() {  # need PACKAGE CHECK...
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}

list_missing() {
  need g++ has_gxx11
  need make command -v make
  need cmake command -v cmake
  need ninja-build command -v ninja
  need git command -v git
  need libopencv-core-dev has_opencv core
  need libopencv-imgproc-dev has_opencv imgproc
  need libopencv-imgcodecs-dev has_opencv imgcodecs
  need libhdf5-dev has_file include/hdf5/serial/hdf5.h include/hdf5.h
  need libcli11-dev has_file include/CLI/CLI.hpp
  need nlohmann-json3-dev has_file include/nlohmann/json.hpp
  need catch2 has_file include/catch2/catch.hpp include/catch2/catch_all.hpp
  need libopenblas-dev has_file 'include/*/cblas.h' include/cblas.h
  need libxxhash-dev has_file include/xxhash.h
  need zlib1g-dev has_file include/zlib.h
  local word
  for word in "$@"; do
    case $word in
      lint) need shellcheck command -v shellcheck ;;
      format) need clang-format command -v clang-format ;;
      slurm) need slurm-wlm command -v slurmctld ;;
      *) echo "deps: error: unknown word \"$word\"; known are lint, format, slurm" >&2; exit 64 ;;
    esac
  done
}

# --- installing packages ---------------------------------------------------------------------------------------------

# can_sudo: without a terminal nobody can type a password
can_sudo() { command -v sudo >/dev/null && { [[ -t 0 && -t 2 ]] || sudo -n true 2>/dev/null; }; }

installed_now=()
apt_updated=
# install PACKAGE...   fails with a message when it cannot
install() {
  local text as_root
  text="apt-get install -y --no-install-recommends $*"
  if ! command -v apt-get >/dev/null; then
    say "missing: $*; there is no apt-get here, so install what these Debian packages hold by hand"
    return 1
  fi
  if (( EUID == 0 )); then
    as_root=()
  elif can_sudo; then
    as_root=(sudo)
  else
    say "missing: $*; without root or sudo they cannot be installed. Ask for: sudo apt-get update && sudo $text"
    return 1
  fi
  # RUNLEVEL=1: packages with daemons (slurm-wlm) must not start them.
  as_root+=(env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -q -o DPkg::Lock::Timeout=300)
  say "installing: $*"
  if [[ -z $apt_updated ]]; then
    "${as_root[@]}" update >&2 || say "warning: the package lists could not be refreshed"
    apt_updated=1
  fi
  if ! "${as_root[@]}" install -y --no-install-recommends "$@" >&2; then
    say "the command failed: $text"
    return 1
  fi
  installed_now+=("$@")
}

# --- LibTorch --------------------------------------------------------------------------------------------------------

search_torch() { cmake -DIUQ_TORCH="$1" -P scripts/cmake/IuqTorchSearch.cmake; }

# not_found FOLDER   the libraries that FOLDER/torch/lib needs and the loader cannot find, sorted
not_found() {
  local library
  for library in "$1"/torch/lib/libtorch{,_cpu,_cuda}.so; do
    [[ ! -e $library ]] || ldd "$library" 2>&1 | awk '/not found/ { print $1 }'
  done | sort -u
}

# find_pip: sets `pip` to a command that runs pip, installing it when there is none
find_pip() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -m pip --version >/dev/null 2>&1; then pip=("$python" -m pip); return; fi
  done
  install python3 python3-pip || return
  pip=(/usr/bin/python3 -m pip)
}

# download_wheel FOLDER: the wheel of this Python, else of another one: only its C++ part is used. Sets `for_python`.
download_wheel() {
  local version
  for version in "" 3.12 3.13 3.11 3.10; do
    for_python=()
    [[ -z $version ]] || for_python=(--python-version "$version" --implementation cp --abi "cp${version/./}")
    if "${pip[@]}" download --disable-pip-version-check --no-deps --only-binary=:all: "${for_python[@]}" \
        -d "$1" "torch==$torch_version" >&2; then
      return 0
    fi
  done
  return 1
}

unpack() {  # unpack WHEEL FOLDER
  if command -v unzip >/dev/null; then unzip -q "$1" -d "$2"; else "${pip[0]}" -m zipfile -e "$1" "$2"; fi
}

# enough_room MB WHAT
enough_room() {
  local free_mb
  free_mb=$(df -Pm .deps | awk 'NR == 2 { print $4 }')
  (( free_mb >= $1 )) || { say "only $free_mb MB are free here; $2 needs $1"; return 1; }
}

# A CUDA wheel looks for its libraries in wheels of their own, beside the folder torch/; its metadata names them.
add_cuda_libraries() {
  local wanted=() line
  while IFS= read -r line; do
    wanted+=("${line%%;*}")
  done < <(sed -n 's/^Requires-Dist: \(\(nvidia-\|cuda-toolkit\).*\)$/\1/p' "$1"/torch-*.dist-info/METADATA | tr -d '()\r')
  (( ${#wanted[@]} )) || return
  enough_room 8000 "the CUDA libraries of the wheel" || return
  say "this is a CUDA wheel; adding its libraries (several GB): ${wanted[*]}"
  "${pip[@]}" install --disable-pip-version-check --only-binary=:all: --no-compile "${for_python[@]}" \
    --target "$1" "${wanted[@]}" >&2
}

# Unpacks the wheel into $wheel_dir, which is there whole or not at all.
fetch_wheel() {
  local pip=() for_python=() lost
  enough_room 3000 "the PyTorch wheel" || return
  find_pip || return
  scratch=$PWD/.deps/.unpacking.$$
  mkdir -p "$scratch/download" "$scratch/wheel"
  say "downloading the PyTorch $torch_version wheel"
  if ! download_wheel "$scratch/download"; then
    say "no PyTorch $torch_version wheel could be downloaded"
    return 1
  fi
  unpack "$scratch"/download/torch-*.whl "$scratch/wheel" || return
  if [[ -n $(not_found "$scratch/wheel") ]]; then
    add_cuda_libraries "$scratch/wheel" || say "the libraries of the CUDA wheel could not be added"
    lost=$(not_found "$scratch/wheel" | tr '\n' ' ')
    if [[ -n $lost ]]; then
      say "the PyTorch $torch_version wheel does not load here, missing: $lost"
      return 1
    fi
  fi
  rm -rf "$wheel_dir"
  mv "$scratch/wheel" "$wheel_dir" || return
  rm -rf "$scratch"
  scratch=
}

# The distribution's package, if it is new enough.
install_libtorch_dev() {
  local version
  version=$(apt-cache policy libtorch-dev 2>/dev/null | awk '/Candidate:/ { print $2 }')
  if [[ -n $version && $version != "(none)" ]] && ! dpkg --compare-versions "$version" ge 1.13; then
    say "libtorch-dev of this distribution is $version; 1.13 is the oldest that works"
    return 1
  fi
  install libtorch-dev
}

# provide_torch: sets `torch` to "VERSION|ROOT|WHY"
provide_torch() {
  torch=$(search_torch "$torch_choice" 2>/dev/null) || torch=
  case $torch_choice in
    system)
      [[ -n $torch ]] || install_libtorch_dev || die "IUQ_TORCH=system, and libtorch-dev cannot be installed"
      ;;
    auto)
      # libtorch-dev is the last resort: it is kept without trying the wheel again only when it was the choice before.
      if [[ -z $torch || ( $torch == *"|libtorch-dev" && $(status_of torch) != *"|libtorch-dev" ) ]]; then
        if ! fetch_wheel; then
          say "falling back to libtorch-dev"
          [[ -n $torch ]] || install_libtorch_dev || die "there is no LibTorch, and none can be installed;" \
            "put one anywhere and set IUQ_TORCH=FOLDER, FOLDER/lib/libtorch_cpu.so being its library"
        fi
      fi
      ;;
  esac
  torch=$(search_torch "$torch_choice") || die "no usable LibTorch (IUQ_TORCH=$torch_choice), see above"
}

# --- status ----------------------------------------------------------------------------------------------------------

# status_of KEY   the value kept in .deps/STATUS, empty when there is none
status_of() { [[ ! -e $status_file ]] || sed -n "s/^$1: //p" "$status_file"; }

# Only what changed is written, so that the file's time says when. A test build against another LibTorch is no choice.
write_status() {
  local text installed chosen=$torch
  [[ $torch_choice == auto ]] || chosen=$(status_of torch)
  installed=$({ status_of installed | tr ' ' '\n'; printf '%s\n' "${installed_now[@]}"; } | sed '/^$/d' | sort -u | tr '\n' ' ')
  text=$(printf 'torch: %s\ninstalled: %s' "$chosen" "${installed% }")
  [[ -e $status_file && $(<"$status_file") == "$text" ]] && return
  printf '%s\n' "$text" >"$status_file.tmp"
  mv "$status_file.tmp" "$status_file"
}

main() {
  mkdir -p .deps
  list_missing "$@"
  if (( ${#missing[@]} )); then
    install "${missing[@]}" || exit 69
    missing=()
    list_missing "$@"
    (( ${#missing[@]} == 0 )) || die "still missing after the installation: ${missing[*]}" \
      "(g++ must be 11 or newer; this distribution may be too old)"
  fi
  local torch version root why
  provide_torch
  IFS='|' read -r version root why <<<"$torch"
  write_status
  say "all there; LibTorch $version from $root ($why)"
}

main "$@"
