# Makes the target iuq_torch of the LibTorch that IuqTorchSearch.cmake chooses. The target is made from the headers and
# libraries by hand: the CMake package of a CUDA wheel refuses to load without a CUDA toolkit, which iuq does not need.

include(${CMAKE_CURRENT_LIST_DIR}/IuqTorchSearch.cmake)
iuq_search_torch("${IUQ_TORCH}" "${CMAKE_SOURCE_DIR}")
foreach(_line ${IUQ_TORCH_REFUSED})
  message(STATUS "LibTorch not usable: ${_line}")
endforeach()
if(NOT IUQ_TORCH_ROOT)
  set(IuqTorch_FOUND FALSE)
  message(FATAL_ERROR "no LibTorch found (IUQ_TORCH=${IUQ_TORCH}); run `make deps`, or pass -DIUQ_TORCH=FOLDER, "
                      "or -DIUQ_WITH_TORCH=OFF for iuq-synth and iuq-eval alone")
endif()
set(IuqTorch_FOUND TRUE)
message(STATUS "LibTorch ${IUQ_TORCH_VERSION} from ${IUQ_TORCH_ROOT} (${IUQ_TORCH_WHY})")

set(_library_dir ${IUQ_TORCH_LIBRARY_DIR})
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

# at::parallel_for uses LibTorch's threads only where it is compiled with OpenMP, as its body is in a header. So all code of
# LibTorch is, and links LibTorch's own OpenMP runtime: a second one in the process would have threads of its own. A wheel
# brings its runtime along, the distribution's LibTorch uses the compiler's.
file(GLOB _openmp ${_library_dir}/libgomp*.so*)
include(CheckCXXCompilerFlag)
check_cxx_compiler_flag(-fopenmp IUQ_OPENMP)
if(_openmp)
  list(GET _openmp 0 _openmp)
elseif(IUQ_TORCH_ROOT STREQUAL "/usr")
  set(_openmp gomp)
else()
  set(IUQ_OPENMP FALSE)
  message(STATUS "LibTorch's OpenMP runtime was not found: own kernels run on one thread")
endif()
if(IUQ_OPENMP)
  target_compile_options(iuq_torch INTERFACE -fopenmp)
  target_link_libraries(iuq_torch INTERFACE ${_openmp})
endif()

# The one precompiled header, see iuq_precompiled. It holds what most sources need and no more, as each of them pays for what
# is in it: with torch/torch.h it takes 4 s and 0.4 GB more to compile an empty file.
if(NOT EXISTS ${CMAKE_BINARY_DIR}/pch.cpp)  # rewriting it would rebuild the library at each configure
  file(WRITE ${CMAKE_BINARY_DIR}/pch.cpp "")
endif()
add_library(iuq_pch STATIC ${CMAKE_BINARY_DIR}/pch.cpp)
set_target_properties(iuq_pch PROPERTIES UNITY_BUILD OFF)
target_link_libraries(iuq_pch PUBLIC iuq_flags iuq_torch)
target_precompile_headers(iuq_pch PRIVATE <torch/types.h> <torch/nn/module.h> <torch/nn/pimpl.h> <nlohmann/json.hpp>)
