# Finds a LibTorch and makes the target iuq_torch of it. In this order (IUQ_TORCH=auto):
#   1. Torch_DIR or CMAKE_PREFIX_PATH that hold a LibTorch >= 2.1
#   2. an importable Python torch >= 2.1
#   3. the PyTorch wheel that scripts/deps.sh unpacked into .deps/
#   4. the distribution's libtorch-dev (1.13.1 on Debian 12)
# IUQ_TORCH=system takes 4 only; IUQ_TORCH=/folder takes that one only. The target is made from the headers and
# libraries by hand: the CMake package of a CUDA wheel refuses to load without a CUDA toolkit, which iuq does not need.

function(_iuq_torch_version root out)
  set(version 0)
  foreach(header ${root}/include/torch/csrc/api/include/torch/version.h ${root}/include/torch/version.h)
    if(EXISTS ${header})
      file(STRINGS ${header} line REGEX "define TORCH_VERSION \"")
      string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" version "${line}")
      break()
    endif()
  endforeach()
  set(${out} ${version} PARENT_SCOPE)
endfunction()

set(_candidates "")
if(IUQ_TORCH STREQUAL "auto")
  if(Torch_DIR)
    get_filename_component(_root "${Torch_DIR}/../../.." ABSOLUTE)
    list(APPEND _candidates "Torch_DIR|${_root}")
  endif()
  foreach(_prefix ${CMAKE_PREFIX_PATH} $ENV{CMAKE_PREFIX_PATH})
    list(APPEND _candidates "CMAKE_PREFIX_PATH|${_prefix}" "CMAKE_PREFIX_PATH|${_prefix}/torch")
    get_filename_component(_root "${_prefix}/../.." ABSOLUTE)  # torch.utils.cmake_prefix_path is torch/share/cmake
    list(APPEND _candidates "CMAKE_PREFIX_PATH|${_root}")
  endforeach()
  find_program(IUQ_PYTHON NAMES python3 python)
  if(IUQ_PYTHON)
    execute_process(
      COMMAND ${IUQ_PYTHON} -c "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
      OUTPUT_VARIABLE _root OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(_root)
      list(APPEND _candidates "Python torch|${_root}")
    endif()
  endif()
  file(GLOB _wheels ${CMAKE_SOURCE_DIR}/.deps/torch-*/torch)
  foreach(_root ${_wheels})
    list(APPEND _candidates "wheel in .deps|${_root}")
  endforeach()
  list(APPEND _candidates "libtorch-dev|/usr")
elseif(IUQ_TORCH STREQUAL "system")
  set(_candidates "libtorch-dev|/usr")
else()
  set(_candidates "IUQ_TORCH|${IUQ_TORCH}")
endif()

set(IuqTorch_FOUND FALSE)
foreach(_candidate ${_candidates})
  string(REPLACE "|" ";" _pair "${_candidate}")
  list(GET _pair 0 _why)
  list(GET _pair 1 _root)
  _iuq_torch_version("${_root}" _version)
  if(_version VERSION_EQUAL 0 OR (_version VERSION_LESS 2.1 AND NOT _why MATCHES "libtorch-dev|IUQ_TORCH"))
    continue()
  endif()
  unset(_library_cpu CACHE)
  find_library(_library_cpu torch_cpu PATHS ${_root}/lib ${_root}/lib/${CMAKE_LIBRARY_ARCHITECTURE} NO_DEFAULT_PATH)
  if(NOT _library_cpu)
    continue()
  endif()
  set(IuqTorch_FOUND TRUE)
  set(IUQ_TORCH_VERSION ${_version})
  set(IUQ_TORCH_ROOT ${_root})
  set(IUQ_TORCH_WHY ${_why})
  break()
endforeach()
if(NOT IuqTorch_FOUND)
  message(FATAL_ERROR "no LibTorch found (IUQ_TORCH=${IUQ_TORCH}); run `make deps`, or pass -DIUQ_TORCH=FOLDER, "
                      "or -DIUQ_WITH_TORCH=OFF for iuq-synth and iuq-eval alone")
endif()
message(STATUS "LibTorch ${IUQ_TORCH_VERSION} from ${IUQ_TORCH_ROOT} (${IUQ_TORCH_WHY})")

get_filename_component(_library_dir ${_library_cpu} DIRECTORY)
add_library(iuq_torch INTERFACE)
target_include_directories(iuq_torch SYSTEM INTERFACE
  ${IUQ_TORCH_ROOT}/include ${IUQ_TORCH_ROOT}/include/torch/csrc/api/include)
set(_cuda "")
if(EXISTS ${_library_dir}/libtorch_cuda.so)
  set(_cuda ${_library_dir}/libtorch_cuda.so ${_library_dir}/libc10_cuda.so)
endif()
# --no-as-needed: without it the CUDA library, which nothing here calls by name, would silently be absent at run time.
target_link_libraries(iuq_torch INTERFACE
  -Wl,--no-as-needed ${_library_dir}/libtorch.so ${_library_dir}/libtorch_cpu.so ${_cuda} -Wl,--as-needed
  ${_library_dir}/libc10.so Threads::Threads)
target_link_options(iuq_torch INTERFACE -Wl,-rpath,${_library_dir})

# The one precompiled header; areas reuse it, so their flags must be the same as these.
file(WRITE ${CMAKE_BINARY_DIR}/pch.cpp "")
add_library(iuq_pch STATIC ${CMAKE_BINARY_DIR}/pch.cpp)
target_link_libraries(iuq_pch PUBLIC iuq_flags iuq_torch)
target_precompile_headers(iuq_pch PRIVATE <torch/torch.h> <nlohmann/json.hpp>)
