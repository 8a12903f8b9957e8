# Program, library, headers, pkg-config file and CMake package, where the system keeps them.
include(CMakePackageConfigHelpers)

install(TARGETS scry EXPORT scryTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS scry_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
foreach(plugin scry_opencl scry_vulkan scry_cuda)
  if(TARGET ${plugin} AND NOT SCRY_STATIC_BACKENDS)
    install(TARGETS ${plugin} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/scry)
  endif()
endforeach()
install(DIRECTORY core/include/scry DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY models/demo DESTINATION ${CMAKE_INSTALL_DATADIR}/scry/models OPTIONAL)
install(EXPORT scryTargets NAMESPACE scry:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/scry)

# The file finds its prefix from where it lies, so that an installed tree can be moved.
file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/scry.pc.in ${PROJECT_BINARY_DIR}/scry.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/scry.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(WRITE ${PROJECT_BINARY_DIR}/scryConfig.cmake
  "include(\"\${CMAKE_CURRENT_LIST_DIR}/scryTargets.cmake\")\n")
write_basic_package_version_file(${PROJECT_BINARY_DIR}/scryConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/scryConfig.cmake ${PROJECT_BINARY_DIR}/scryConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/scry)
