# The CUDA plugin, where nvcc is there. The runtime is linked statically, so that the plugin loads where no CUDA is installed and can
# say what is missing; cuBLAS is loaded only once there is a device.
option(SCRY_CUDA "Build the CUDA plugin (needs the CUDA toolkit)" ON)
if(NOT SCRY_CUDA)
  scry_no_plugin(cuda "SCRY_CUDA is OFF")
  return()
endif()
if(SCRY_SANITIZE OR SCRY_STATIC_BACKENDS)
  scry_no_plugin(cuda "a build for sanitizers has none, as its code runs emulated there")
  return()
endif()
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  scry_no_plugin(cuda "it needs the CUDA toolkit, and no nvcc was found that works")
  return()
endif()
# Every card from Turing on: code for three, and for what is newer something that its driver compiles.
set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 90 CACHE STRING "Cards that the kernels are compiled for")
enable_language(CUDA)
find_package(CUDAToolkit)
find_path(SCRY_CUBLAS_INCLUDE cublas_v2.h HINTS ${CUDAToolkit_INCLUDE_DIRS} NO_DEFAULT_PATH)
if(NOT TARGET CUDA::cudart_static OR NOT SCRY_CUBLAS_INCLUDE)
  scry_no_plugin(cuda "it needs the CUDA toolkit's static runtime and cublas_v2.h beside nvcc")
  return()
endif()

file(GLOB cuda_sources CONFIGURE_DEPENDS backends/cuda/*.c kernels_cuda/*.cu)
scry_add_plugin(cuda SOURCES ${cuda_sources} INCLUDES ${PROJECT_SOURCE_DIR}/backends/cuda
  LIBRARIES CUDA::cudart_static ${CMAKE_DL_LIBS} m)
set_target_properties(scry_cuda PROPERTIES CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON CUDA_VISIBILITY_PRESET hidden
  LINKER_LANGUAGE C BUILD_RPATH ${CUDAToolkit_LIBRARY_DIR} INSTALL_RPATH ${CUDAToolkit_LIBRARY_DIR}) # cuBLAS may lie there
