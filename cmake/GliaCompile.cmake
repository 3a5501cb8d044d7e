# Compiler flags: glia_compile(TARGET) for ordinary code, glia_compile_kernels() for vector kernels.

set(GLIA_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
if(GLIA_WERROR AND NOT GLIA_SANITIZE) # GCC has false warnings in instrumented code
    list(APPEND GLIA_WARNINGS -Werror)
endif()

# Outside the kernels, -O2 is as fast as -O3 at half the size.
if(NOT CMAKE_C_FLAGS_RELEASE OR CMAKE_C_FLAGS_RELEASE STREQUAL "-O3 -DNDEBUG")
    set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG" CACHE STRING "Flags of release builds" FORCE)
endif()

set(GLIA_INSTRUMENT)
if(GLIA_SANITIZE)
    list(APPEND GLIA_INSTRUMENT -fsanitize=${GLIA_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
endif()
if(GLIA_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "GLIA_FUZZ needs clang: cmake --preset fuzz")
    endif()
    list(APPEND GLIA_INSTRUMENT -fsanitize=fuzzer-no-link)
endif()

# Outside the kernels, products and sums are rounded separately (no FMA), so that synthetic data and losses are the same
# on every machine.
function(glia_compile target)
    target_compile_options(${target} PRIVATE ${GLIA_WARNINGS} ${GLIA_INSTRUMENT} -ffp-contract=off)
    target_link_options(${target} PRIVATE ${GLIA_INSTRUMENT})
    set_target_properties(${target} PROPERTIES
        C_STANDARD 17 C_STANDARD_REQUIRED ON C_EXTENSIONS ON
        C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
endfunction()

# The instruction sets of the kernels, and the flags of each.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    set(GLIA_ISAS v2 v3 v4)
    set(GLIA_ISA_FLAGS_v2 -march=x86-64-v2)
    set(GLIA_ISA_FLAGS_v3 -march=x86-64-v3)
    set(GLIA_ISA_FLAGS_v4 -march=x86-64-v4 -mprefer-vector-width=512)
    if(GLIA_EMULATE_V4) # vectors of sixteen floats, each compiled to two of eight
        set(GLIA_ISA_FLAGS_v4 -march=x86-64-v3 -DVLEN=16 -Wno-psabi)
        add_compile_definitions(GLIA_EMULATE_V4)
    endif()
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    set(GLIA_ISAS neon)
else()
    set(GLIA_ISAS generic)
endif()

# Compiles the kernels once per instruction set, with -DGLIA_KERNEL_ISA=v3 and so on. Sets `objects` to the list of their
# objects.
function(glia_compile_kernels objects)
    set(result)
    foreach(isa ${GLIA_ISAS})
        add_library(glia_kernels_${isa} OBJECT ${ARGN})
        glia_compile(glia_kernels_${isa})
        target_include_directories(glia_kernels_${isa} PRIVATE include src)
        target_compile_definitions(glia_kernels_${isa} PRIVATE GLIA_KERNEL_ISA=${isa})
        target_compile_options(glia_kernels_${isa} PRIVATE
            ${GLIA_ISA_FLAGS_${isa}} -O3 -ffp-contract=fast -fno-math-errno)
        # Only parsers are fuzzed; instrumented kernels take minutes to compile. With the address sanitizer the kernels of
        # v2 stay without it: tests of everything but kernels use them, which would take ten times as long.
        if(GLIA_FUZZ OR (GLIA_SANITIZE MATCHES address AND isa STREQUAL v2))
            target_compile_options(glia_kernels_${isa} PRIVATE -fno-sanitize=all)
        elseif(GLIA_SANITIZE) # unrolled loops take long to compile with sanitizers
            target_compile_options(glia_kernels_${isa} PRIVATE -O1)
        endif()
        list(APPEND result $<TARGET_OBJECTS:glia_kernels_${isa}>)
    endforeach()
    set(${objects} ${result} PARENT_SCOPE)
endfunction()
