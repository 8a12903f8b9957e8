# The Vulkan plugin, where the loader, its headers and glslc are there. shaders/NAME.comp is compiled to SPIR-V and
# embedded as kernel NAME.
option(SCRY_VULKAN "Build the Vulkan plugin (needs the loader, its headers and glslc)" ON)
if(NOT SCRY_VULKAN)
  scry_no_plugin(vulkan "SCRY_VULKAN is OFF")
  return()
endif()
pkg_check_modules(VULKAN IMPORTED_TARGET vulkan>=1.2)
find_program(SCRY_GLSLC glslc)
set(vulkan_lacks "")
if(NOT VULKAN_FOUND)
  list(APPEND vulkan_lacks "the loader and its headers (pkg-config vulkan >= 1.2; on Debian libvulkan-dev)")
endif()
if(NOT SCRY_GLSLC)
  list(APPEND vulkan_lacks "glslc (on Debian glslc)")
endif()
if(vulkan_lacks)
  list(JOIN vulkan_lacks " and " vulkan_lacks)
  scry_no_plugin(vulkan "it needs ${vulkan_lacks}")
  return()
endif()

file(GLOB vulkan_sources CONFIGURE_DEPENDS backends/vulkan/*.c)
file(GLOB vulkan_shaders CONFIGURE_DEPENDS shaders/*.comp)
set(vulkan_modules "")
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/vulkan)

# Cooperative matrices are younger than what else is needed.
include(CheckCSourceCompiles)
set(cooperative_lacks "")
set(CMAKE_REQUIRED_INCLUDES ${VULKAN_INCLUDE_DIRS})
check_c_source_compiles(
  "#include <vulkan/vulkan.h>\n#ifndef VK_KHR_cooperative_matrix\n#error\n#endif\nint main(void) { return 0; }"
  SCRY_VULKAN_KNOWS_COOPERATIVE_MATRIX)
if(NOT SCRY_VULKAN_KNOWS_COOPERATIVE_MATRIX)
  list(APPEND cooperative_lacks "Vulkan's headers")
endif()
file(WRITE ${PROJECT_BINARY_DIR}/vulkan/cooperative.comp
  "#version 450\n#extension GL_KHR_cooperative_matrix : require\nvoid main() {}\n")
execute_process(
  COMMAND ${SCRY_GLSLC} --target-env=vulkan1.2 -o ${PROJECT_BINARY_DIR}/vulkan/cooperative.spv
    ${PROJECT_BINARY_DIR}/vulkan/cooperative.comp
  RESULT_VARIABLE glslc_failed OUTPUT_QUIET ERROR_QUIET)
if(glslc_failed)
  list(APPEND cooperative_lacks "glslc")
endif()
if(cooperative_lacks)
  list(JOIN cooperative_lacks " and " cooperative_lacks)
  message(STATUS "No cooperative matrices in the Vulkan plugin: unknown to ${cooperative_lacks} (Debian 13's know them)")
  list(REMOVE_ITEM vulkan_shaders ${PROJECT_SOURCE_DIR}/shaders/matmul_cooperative.comp)
endif()
foreach(shader IN LISTS vulkan_shaders)
  get_filename_component(name ${shader} NAME_WE)
  set(module ${PROJECT_BINARY_DIR}/vulkan/${name}.spv)
  # The depfile names what a shader includes, so that an edit there compiles it anew.
  add_custom_command(OUTPUT ${module}
    COMMAND ${SCRY_GLSLC} -O --target-env=vulkan1.2 -I ${PROJECT_SOURCE_DIR}/shaders -MD -MF ${module}.d -MT ${module}
      -o ${module} ${shader}
    DEPENDS ${shader} DEPFILE ${module}.d VERBATIM)
  list(APPEND vulkan_modules ${module})
endforeach()
scry_embed_device_code(vulkan LIST SCRY__VK_SHADER_LIST HEADER shaders.h TYPE scry__vk_shader FILES ${vulkan_modules})
scry_add_plugin(vulkan SOURCES ${vulkan_sources} ${vulkan_embedded}
  INCLUDES ${PROJECT_SOURCE_DIR}/backends/vulkan ${vulkan_made} LIBRARIES PkgConfig::VULKAN m)
