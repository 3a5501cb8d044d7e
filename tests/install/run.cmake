# Installs the build into a folder, then builds and runs user.c against it: with pkg-config, and with find_package().
# Variables: BUILD SOURCE WORK LIBDIR COMPILER PKG_CONFIG CONFIG.

set(PREFIX ${WORK}/prefix)
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})

# run(WORDS...): the command must succeed; its output goes to ${output}.
macro(run)
    execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${WORK} RESULT_VARIABLE result
                    OUTPUT_VARIABLE output ERROR_VARIABLE errors OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "failed (${result}): ${ARGN}\n${output}\n${errors}")
    endif()
endmacro()

# expect_sum(WORDS...): the command must succeed and print 6.0.
macro(expect_sum)
    run(${ARGN})
    if(NOT output STREQUAL "6.0")
        message(FATAL_ERROR "${ARGN} printed \"${output}\", not 6.0")
    endif()
endmacro()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${PREFIX} --config ${CONFIG})
if(EXISTS ${PREFIX}/bin/glia)
    run(${PREFIX}/bin/glia --version)
endif()

# pkg-config, against the shared library and against the static one
set(ENV{PKG_CONFIG_PATH} ${PREFIX}/${LIBDIR}/pkgconfig)
run(${PKG_CONFIG} --cflags glia)
file(REAL_PATH ${PREFIX}/include headers)
string(REGEX REPLACE "^-I" "" folder "${output}")
file(REAL_PATH "${folder}" folder)
if(NOT output MATCHES "^-I[^ ]+$" OR NOT folder STREQUAL headers)
    message(FATAL_ERROR "pkg-config --cflags glia should name the include folder alone: ${output}")
endif()
run(${PKG_CONFIG} --cflags --libs glia)
separate_arguments(flags UNIX_COMMAND "${output}")
run(${COMPILER} -std=c17 -Wall -Wextra -Wpedantic -Werror ${SOURCE}/user.c -o user_pc ${flags}
    -Wl,-rpath,${PREFIX}/${LIBDIR})
expect_sum(${WORK}/user_pc)
run(${PKG_CONFIG} --static --libs glia)
separate_arguments(flags UNIX_COMMAND "${output}")
list(TRANSFORM flags REPLACE "^-lglia$" "${PREFIX}/${LIBDIR}/libglia.a")
run(${COMPILER} -std=c17 -I${PREFIX}/include ${SOURCE}/user.c -o user_pc_static ${flags})
expect_sum(${WORK}/user_pc_static)

# C++: every compiler that is here, in two standards
run(${PKG_CONFIG} --cflags --libs glia)
separate_arguments(flags UNIX_COMMAND "${output}")
foreach(compiler g++ clang++)
    find_program(cxx ${compiler} NO_CACHE)
    foreach(standard 11 17)
        if(cxx)
            run(${cxx} -std=c++${standard} -Wall -Wextra -Wpedantic -Werror ${SOURCE}/user.cpp -o user_cpp ${flags}
                -Wl,-rpath,${PREFIX}/${LIBDIR})
            expect_sum(${WORK}/user_cpp)
        endif()
    endforeach()
    unset(cxx)
endforeach()

# `make install` builds what it installs, not the tests and examples
find_program(make NAMES gmake make NO_CACHE)
if(make)
    run(${make} -n -C ${SOURCE}/../.. install)
    if(NOT output MATCHES "--build [^\n]*--target glia_static glia_shared glia_command" OR output MATCHES "--target [^\n]*test")
        message(FATAL_ERROR "make install builds more than it installs:\n${output}")
    endif()
endif()

# find_package
run(${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK}/build -D CMAKE_PREFIX_PATH=${PREFIX} -D CMAKE_C_COMPILER=${COMPILER})
run(${CMAKE_COMMAND} --build ${WORK}/build --config ${CONFIG})
expect_sum(${WORK}/build/user_shared)
expect_sum(${WORK}/build/user_static)
