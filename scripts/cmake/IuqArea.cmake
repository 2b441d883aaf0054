# One CMake target per library area, sources by name, links saying the same as the layer picture in README.md.

add_library(iuq_flags INTERFACE)
target_include_directories(iuq_flags INTERFACE ${CMAKE_SOURCE_DIR})
# A switch over an enum has no default: a new enumerator is an error until it is handled, warnings being errors or not.
target_compile_options(iuq_flags INTERFACE -Wall -Wextra -Wshadow -Werror=switch $<$<BOOL:${IUQ_WERROR}>:-Werror>)
if(IUQ_SANITIZE)
  target_compile_options(iuq_flags INTERFACE -fsanitize=${IUQ_SANITIZE} -fno-omit-frame-pointer -g1)
  target_link_options(iuq_flags INTERFACE -fsanitize=${IUQ_SANITIZE})
endif()

# iuq_area(NAME SOURCES a.cpp ... [LINKS target ...] [TORCH])
# TORCH: the area needs LibTorch; it shares the one precompiled header.
function(iuq_area name)
  cmake_parse_arguments(A "TORCH" "" "SOURCES;LINKS" ${ARGN})
  if(A_TORCH AND NOT IUQ_WITH_TORCH)
    return()
  endif()
  add_library(iuq_${name} STATIC ${A_SOURCES})
  target_link_libraries(iuq_${name} PUBLIC iuq_flags ${A_LINKS})
  target_compile_options(iuq_${name} PRIVATE -Wconversion -Wno-sign-conversion)
  if(A_TORCH)
    target_link_libraries(iuq_${name} PUBLIC iuq_torch)
    target_precompile_headers(iuq_${name} REUSE_FROM iuq_pch)
  endif()
endfunction()

# iuq_parallel_sources(AREA a.cpp ...): at::parallel_for in these files uses LibTorch's threads. Its body is in a header and
# runs on one thread unless compiled with OpenMP.
function(iuq_parallel_sources name)
  if(IUQ_OPENMP)
    # The precompiled header is made without OpenMP and serves no file with it.
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS -fopenmp SKIP_PRECOMPILE_HEADERS ON)
    target_link_libraries(iuq_${name} PUBLIC iuq_openmp)
  endif()
endfunction()
