# Installs headers, libraries, a pkg-config file and a CMake package (glia::glia shared, glia::static).

include(CMakePackageConfigHelpers)

install(DIRECTORY include/glia TYPE INCLUDE FILES_MATCHING PATTERN "*.h")
install(TARGETS glia_static glia_shared EXPORT gliaTargets)
install(EXPORT gliaTargets NAMESPACE glia:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/glia)

list(JOIN GLIA_CMAKE_PACKAGES " " GLIA_CONFIG_PACKAGES)
configure_package_config_file(cmake/gliaConfig.cmake.in ${PROJECT_BINARY_DIR}/gliaConfig.cmake
    INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/glia)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/gliaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/gliaConfig.cmake ${PROJECT_BINARY_DIR}/gliaConfigVersion.cmake
    cmake/FindUtf8proc.cmake cmake/FindHDF5C.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/glia)

# The folders in the .pc file are relative to it, so an installed tree can be moved. Flags of other libraries are in
# Libs.private: Requires.private would add their include folders and definitions to `pkg-config --cflags`.
list(JOIN GLIA_PACKAGE_PRIVATE " " GLIA_PC_PRIVATE)
cmake_path(SET pc_folder NORMALIZE "${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig")
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${pc_folder} OUTPUT_VARIABLE GLIA_PC_UP)
configure_file(cmake/glia.pc.in ${PROJECT_BINARY_DIR}/glia.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/glia.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
