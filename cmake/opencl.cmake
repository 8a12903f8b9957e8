# The OpenCL plugin, where the ICD loader and its headers are there. Its kernels' sources are embedded.
option(SCRY_OPENCL "Build the OpenCL plugin (needs the ICD loader, ocl-icd, and the OpenCL headers)" ON)
if(NOT SCRY_OPENCL)
  return()
endif()
pkg_check_modules(OPENCL IMPORTED_TARGET OpenCL)
include(CheckIncludeFile)
set(CMAKE_REQUIRED_INCLUDES ${OPENCL_INCLUDE_DIRS})
check_include_file(CL/cl.h SCRY_HAS_CL_H)
unset(CMAKE_REQUIRED_INCLUDES)
if(NOT OPENCL_FOUND OR NOT SCRY_HAS_CL_H)
  message(STATUS "No OpenCL plugin: it needs ocl-icd (pkg-config OpenCL) and CL/cl.h; on Debian ocl-icd-opencl-dev")
  return()
endif()

file(GLOB opencl_sources CONFIGURE_DEPENDS backends/opencl/*.c)
file(GLOB opencl_kernels CONFIGURE_DEPENDS kernels_cl/*.cl)
set(opencl_made ${PROJECT_BINARY_DIR}/opencl)
set(opencl_list "#define SCRY__CL_SOURCE_LIST(X)")
foreach(kernel IN LISTS opencl_kernels)
  get_filename_component(name ${kernel} NAME_WE)
  set(embedded ${opencl_made}/${name}.c)
  add_custom_command(OUTPUT ${embedded}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${embedded} -DHEADER=sources.h -DTYPE=scry__cl_source
      -DSYMBOL=scry__cl_source_${name} -DFILES=${kernel} -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${kernel} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
  list(APPEND opencl_sources ${embedded})
  string(APPEND opencl_list " X(${name})")
endforeach()
file(CONFIGURE OUTPUT ${opencl_made}/sources_list.h CONTENT "${opencl_list}\n")
scry_add_plugin(opencl SOURCES ${opencl_sources} INCLUDES ${PROJECT_SOURCE_DIR}/backends/opencl ${opencl_made}
  LIBRARIES PkgConfig::OPENCL ${CMAKE_DL_LIBS} m)
