# Optional packages. Without one, the functions that need it fail with GLIA_E_UNSUPPORTED.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

set(GLIA_PACKAGE_DEFINITIONS)
set(GLIA_PACKAGE_LIBRARIES)
set(GLIA_CMAKE_PACKAGES)  # names for find_package
set(GLIA_PACKAGE_PRIVATE) # linker flags for pkg-config --static
set(GLIA_PACKAGE_REPORT)

# glia_private_flags(LIBRARY FLAG): prepends the linker flag FLAG of a library file, with -L if its folder is not on the
# linker's default path. A library comes before the earlier ones because it may need them.
macro(glia_private_flags library flag)
    get_filename_component(folder "${library}" DIRECTORY)
    if(IS_ABSOLUTE "${folder}" AND NOT folder IN_LIST CMAKE_C_IMPLICIT_LINK_DIRECTORIES)
        list(PREPEND GLIA_PACKAGE_PRIVATE -L${folder} ${flag})
    else()
        list(PREPEND GLIA_PACKAGE_PRIVATE ${flag})
    endif()
endmacro()

# glia_package(OPTION NAME TARGET FLAG PURPOSE): defines GLIA_HAVE_<OPTION> if the package is found.
macro(glia_package option name target flag purpose)
    if(GLIA_${option})
        find_package(${name} QUIET)
    endif()
    if(NOT GLIA_${option})
        list(APPEND GLIA_PACKAGE_REPORT "${name}: switched off (${purpose})")
    elseif(${name}_FOUND)
        list(APPEND GLIA_PACKAGE_DEFINITIONS GLIA_HAVE_${option}=1)
        list(APPEND GLIA_PACKAGE_LIBRARIES ${target})
        list(GET ${name}_LIBRARIES -1 library)
        glia_private_flags("${library}" ${flag})
        list(APPEND GLIA_CMAKE_PACKAGES ${name})
        list(APPEND GLIA_PACKAGE_REPORT "${name}: found (${purpose})")
    else()
        list(APPEND GLIA_PACKAGE_REPORT "${name}: not found, built without (${purpose})")
    endif()
endmacro()

glia_package(ZLIB ZLIB ZLIB::ZLIB -lz ".gz and .npz files")
glia_package(PNG PNG PNG::PNG -lpng "PNG images")
glia_package(JPEG JPEG JPEG::JPEG -ljpeg "JPEG images")
glia_package(ARCHIVE LibArchive LibArchive::LibArchive -larchive ".tar.xz, .tar.zst and similar archives")
glia_package(UTF8PROC Utf8proc Utf8proc::Utf8proc -lutf8proc "tokenizers")
glia_package(HDF5 HDF5C HDF5C::HDF5C -lhdf5 "NIR files of spiking nets")

# Only the command downloads, so the library is not linked with libcurl.
set(GLIA_CURL_FOUND OFF)
if(GLIA_CURL)
    find_package(CURL QUIET)
endif()
if(NOT GLIA_CURL)
    list(APPEND GLIA_PACKAGE_REPORT "CURL: switched off (glia data fetch)")
elseif(CURL_FOUND)
    set(GLIA_CURL_FOUND ON)
    list(APPEND GLIA_PACKAGE_REPORT "CURL: found (glia data fetch)")
else()
    list(APPEND GLIA_PACKAGE_REPORT "CURL: not found, built without (glia data fetch)")
endif()

# Only the command uses SQLite. Queries of runs need its JSON functions, built in since 3.38.
if(GLIA_SQLITE)
    find_package(SQLite3 3.38 QUIET)
endif()
if(NOT GLIA_SQLITE)
    list(APPEND GLIA_PACKAGE_REPORT "SQLite3: switched off (the history of runs)")
elseif(SQLite3_FOUND)
    list(APPEND GLIA_PACKAGE_REPORT "SQLite3: found (the history of runs)")
else()
    list(APPEND GLIA_PACKAGE_REPORT "SQLite3: not found, built without (the history of runs)")
endif()

function(glia_report_packages)
    message(STATUS "Glia ${PROJECT_VERSION}: ${CMAKE_BUILD_TYPE}, kernels for ${GLIA_ISAS}")
    foreach(line ${GLIA_PACKAGE_REPORT})
        message(STATUS "  ${line}")
    endforeach()
endfunction()
