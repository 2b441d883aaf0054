# Makes the target iuq_opencv of OpenCV's modules core, imgproc and imgcodecs, and sets OpenCV_VERSION. OpenCV's CMake package
# is taken where there is one. Distributions ship it only with all modules and what those depend on (Qt, VTK, ...); without
# it the headers and libraries are looked up by name.

add_library(iuq_opencv INTERFACE)
find_package(OpenCV QUIET COMPONENTS core imgproc imgcodecs)
if(OpenCV_FOUND)
  target_link_libraries(iuq_opencv INTERFACE opencv_core opencv_imgproc opencv_imgcodecs)
else()
  find_path(IUQ_OPENCV_INCLUDE_DIR opencv2/imgcodecs.hpp PATH_SUFFIXES opencv4)
  set(_libraries "")
  foreach(_module core imgproc imgcodecs)
    string(TOUPPER IUQ_OPENCV_${_module} _library)
    find_library(${_library} opencv_${_module})
    list(APPEND _libraries ${${_library}})
    list(APPEND _wanted ${_library})
  endforeach()
  if(IUQ_OPENCV_INCLUDE_DIR)
    file(STRINGS ${IUQ_OPENCV_INCLUDE_DIR}/opencv2/core/version.hpp _lines REGEX "define CV_VERSION_(MAJOR|MINOR|REVISION) ")
    string(REGEX MATCHALL "[0-9]+" OpenCV_VERSION "${_lines}")
    string(REPLACE ";" "." OpenCV_VERSION "${OpenCV_VERSION}")
  endif()
  target_include_directories(iuq_opencv SYSTEM INTERFACE ${IUQ_OPENCV_INCLUDE_DIR})
  target_link_libraries(iuq_opencv INTERFACE ${_libraries})
endif()

include(FindPackageHandleStandardArgs)
if(OpenCV_FOUND)
  find_package_handle_standard_args(IuqOpenCV REQUIRED_VARS OpenCV_DIR VERSION_VAR OpenCV_VERSION)
else()
  find_package_handle_standard_args(IuqOpenCV REQUIRED_VARS IUQ_OPENCV_INCLUDE_DIR ${_wanted} VERSION_VAR OpenCV_VERSION
    REASON_FAILURE_MESSAGE "there is neither OpenCV's CMake package nor all of its headers and libraries, run `make deps`")
endif()
