# Flags that only one room needs.

# The oracle is compiled as written: no contraction into FMA, no reassociation.
file(GLOB reference_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/backends/reference/*.c)
set_source_files_properties(${reference_sources} PROPERTIES COMPILE_OPTIONS "-ffp-contract=off")
