# Flags that only one room needs.

# The oracle is compiled as written: no contraction into FMA, no reassociation.
file(GLOB reference_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/backends/reference/*.c)
set_source_files_properties(${reference_sources} PROPERTIES COMPILE_OPTIONS "-ffp-contract=off")

# Where installed plugins are looked for.
set_source_files_properties(${PROJECT_SOURCE_DIR}/core/device/plugin.c PROPERTIES
  COMPILE_DEFINITIONS "SCRY_PLUGIN_DIR=\"${CMAKE_INSTALL_FULL_LIBDIR}/scry\"")
