# scry_add_plugin(NAME SOURCES ... INCLUDES ... LIBRARIES ...): the backend NAME as libscry-NAME.so; with SCRY_STATIC_BACKENDS it is
# linked into everything that links scry's objects, and registered as the built-in backends are.

# What plugins share: a copy in each, one where they are linked in.
file(GLOB shared_sources CONFIGURE_DEPENDS backends/shared/*.c)
add_library(scry_shared OBJECT ${shared_sources})
target_include_directories(scry_shared PRIVATE ${PROJECT_SOURCE_DIR}/core/include)
target_link_libraries(scry_shared PRIVATE scry_flags)
if(SCRY_STATIC_BACKENDS)
  target_link_libraries(scry_objects PUBLIC $<TARGET_OBJECTS:scry_shared>)
endif()

function(scry_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 plugin "" "" "SOURCES;INCLUDES;LIBRARIES")
  if(SCRY_STATIC_BACKENDS)
    string(MAKE_C_IDENTIFIER ${name} identifier)
    add_library(scry_${name} OBJECT ${plugin_SOURCES})
    target_compile_definitions(scry_${name} PRIVATE scry_backend_entry=scry_${identifier}_entry)
    target_link_libraries(scry_objects PUBLIC $<TARGET_OBJECTS:scry_${name}> ${plugin_LIBRARIES})
    set_property(GLOBAL APPEND_STRING PROPERTY SCRY_STATIC_LIST "STATIC_BACKEND(${identifier}, ${name})")
    get_property(list GLOBAL PROPERTY SCRY_STATIC_LIST)
    set_property(SOURCE ${PROJECT_SOURCE_DIR}/core/device/registry.c TARGET_DIRECTORY scry_objects
      PROPERTY COMPILE_DEFINITIONS "SCRY_STATIC_BACKENDS=${list}")
  else()
    add_library(scry_${name} MODULE ${plugin_SOURCES} $<TARGET_OBJECTS:scry_shared>)
    set_target_properties(scry_${name} PROPERTIES PREFIX lib OUTPUT_NAME scry-${name}
      LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
  endif()
  target_include_directories(scry_${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/core/include
    ${PROJECT_SOURCE_DIR}/backends
    ${plugin_INCLUDES})
  target_link_libraries(scry_${name} PRIVATE scry_flags ${plugin_LIBRARIES})
  add_dependencies(scry_program scry_${name})
endfunction()

# scry_embed_device_code(NAME LIST ... HEADER ... TYPE ... FILES ...): the bytes of each of FILES as `const TYPE TYPE_NAME`, NAME being
# the file's, in C sources that ${NAME_embedded} lists afterwards; HEADER declares TYPE. ${NAME_made} is the folder of what is
# made, which has list.h: the macro LIST(X), with X(NAME) for each.
function(scry_embed_device_code name)
  cmake_parse_arguments(PARSE_ARGV 1 code "" "LIST;HEADER;TYPE" "FILES")
  set(made ${PROJECT_BINARY_DIR}/${name})
  set(sources "")
  set(list "#define ${code_LIST}(X)")
  foreach(file IN LISTS code_FILES)
    get_filename_component(kernel ${file} NAME_WE)
    set(embedded ${made}/${kernel}.c)
    add_custom_command(OUTPUT ${embedded}
      COMMAND ${CMAKE_COMMAND} -DOUTPUT=${embedded} -DHEADER=${code_HEADER} -DTYPE=${code_TYPE}
        -DSYMBOL=${code_TYPE}_${kernel} -DFILES=${file} -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
      DEPENDS ${file} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
    list(APPEND sources ${embedded})
    string(APPEND list " X(${kernel})")
  endforeach()
  file(CONFIGURE OUTPUT ${made}/list.h CONTENT "${list}\n")
  set(${name}_embedded ${sources} PARENT_SCOPE)
  set(${name}_made ${made} PARENT_SCOPE)
endfunction()

# A plugin that this build goes without, and why: for whoever configures it, and for `scry devices`.
function(scry_no_plugin name reason)
  message(STATUS "No ${name} plugin: ${reason}")
  set_property(GLOBAL APPEND_STRING PROPERTY SCRY_ABSENT_LIST " X(${name}, \"${reason}\")")
endfunction()

# Writes absent.h, the list of them: after the last.
function(scry_write_absent)
  get_property(list GLOBAL PROPERTY SCRY_ABSENT_LIST)
  set(text "/* Plugins that this build goes without: X(name, reason). */\n#define SCRY__ABSENT_LIST(X)${list}\n")
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/absent/absent.h CONTENT "${text}")
  target_include_directories(scry_objects PUBLIC $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/absent>)
endfunction()
