# Flags that only one room needs.

# The oracle is compiled as written: no contraction into FMA, no reassociation.
file(GLOB reference_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/backends/reference/*.c)
set_source_files_properties(${reference_sources} PROPERTIES COMPILE_OPTIONS "-ffp-contract=off")

# Random numbers are the same bits on every machine.
set_source_files_properties(${PROJECT_SOURCE_DIR}/core/base/noise.c PROPERTIES COMPILE_OPTIONS "-ffp-contract=off")

# Where installed plugins are looked for.
set_source_files_properties(${PROJECT_SOURCE_DIR}/core/device/plugin.c PROPERTIES
  COMPILE_DEFINITIONS "SCRY_PLUGIN_DIR=\"${CMAKE_INSTALL_FULL_LIBDIR}/scry\"")

# The cpu backend's kernels are one source compiled once for each instruction set; the device chooses at run time. No
# -ffast-math: masks are -inf, and NaN must pass through.
include(CheckCCompilerFlag)
set(kernel_flags -O3 -fno-math-errno -fno-trapping-math)
set(kernel_flags_avx2 -mavx2 -mfma)
set(kernel_flags_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512)
foreach(variant baseline avx2 avx512)
  set(flags ${kernel_flags_${variant}})
  list(JOIN flags " " probe)
  if(flags)
    check_c_compiler_flag("${probe}" SCRY_KERNELS_${variant})
  endif()
  if(flags AND NOT SCRY_KERNELS_${variant})
    set(flags "")
  endif()
  set_source_files_properties(${PROJECT_SOURCE_DIR}/backends/cpu/variant_${variant}.c PROPERTIES
    COMPILE_OPTIONS "${kernel_flags};${flags}")
endforeach()

# The HTML report's template, style and script are part of the library.
set(report_assets ${PROJECT_SOURCE_DIR}/core/report/assets)
set(report_page ${report_assets}/report.html)
set(report_style ${report_assets}/report.css)
# What views share comes first, then the views in the order in which the page lists them, then what starts them.
set(report_script data store colour pen figure export attention heads_grid views
  views/overview views/text views/heads views/model views/heatmap views/neuron views/lens
  views/influence views/patching views/patching_pairs views/atlas views/trace views/diagnoses views/comparison start)
list(TRANSFORM report_script PREPEND ${report_assets}/)
list(TRANSFORM report_script APPEND .js)
foreach(asset page style script)
  set(embedded ${PROJECT_BINARY_DIR}/assets/report_${asset}.c)
  add_custom_command(OUTPUT ${embedded}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${embedded} -DHEADER=report/assets.h -DTYPE=scry__asset
      -DSYMBOL=scry__asset_${asset} "-DFILES=${report_${asset}}"
      -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${report_${asset}} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
  target_sources(scry_objects PRIVATE ${embedded})
endforeach()
