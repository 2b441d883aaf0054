# One CMake target per library area, sources by name, links saying the same as the layer picture in README.md.

add_library(iuq_flags INTERFACE)
target_include_directories(iuq_flags INTERFACE ${CMAKE_SOURCE_DIR})
# A switch over an enum has no default: a new enumerator is an error until it is handled, warnings being errors or not.
target_compile_options(iuq_flags INTERFACE -Wall -Wextra -Wshadow -Werror=switch $<$<BOOL:${IUQ_WERROR}>:-Werror>)
if(IUQ_SANITIZE)
  target_compile_options(iuq_flags INTERFACE -fsanitize=${IUQ_SANITIZE} -fno-omit-frame-pointer -g1)
  target_link_options(iuq_flags INTERFACE -fsanitize=${IUQ_SANITIZE})
endif()

# iuq_precompiled(TARGET): the target shares the one precompiled header of LibTorch. It serves only code of the same -f flags:
# libraries get -fPIC, programs would get -fPIE.
function(iuq_precompiled target)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fPIC)
  endif()
  target_precompile_headers(${target} REUSE_FROM iuq_pch)
endfunction()

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
    iuq_precompiled(iuq_${name})
  endif()
endfunction()
