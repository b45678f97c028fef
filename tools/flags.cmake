# Compiler and linker flags: one language level and one list of warnings everywhere, the rest by build type.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

include_directories(${PROJECT_SOURCE_DIR})
add_compile_definitions(_GNU_SOURCE _FILE_OFFSET_BITS=64 TRUNKLINE_VERSION="${PROJECT_VERSION}")
add_compile_options(-Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Werror
    # __FILE__ and debug information name files from the root of the tree, so builds elsewhere are the same.
    -ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)
if(CMAKE_C_COMPILER_ID STREQUAL "Clang")
    # gcc knows that a function with a va_list hands on a format that its callers had checked, and that a missing field in
    # a macro of libseccomp is none of ours; clang does not.
    add_compile_options(-Wno-format-nonliteral -Wno-missing-field-initializers)
endif()

# assert() stays in every build, so no build type defines NDEBUG.
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_COVERAGE "-O0 -g --coverage")
set(CMAKE_EXE_LINKER_FLAGS_COVERAGE "--coverage")

if(CMAKE_BUILD_TYPE STREQUAL "Release")
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection
        -ftrivial-auto-var-init=zero)
    add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)
    include(CheckCCompilerFlag)
    check_c_compiler_flag(-fcf-protection=full HAVE_CF_PROTECTION)
    if(HAVE_CF_PROTECTION)
        add_compile_options(-fcf-protection=full)
    endif()
endif()

if(SANITIZE)
    add_compile_options(-fsanitize=${SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${SANITIZE})
endif()
if(TEST_CLOCK)
    add_compile_definitions(TEST_CLOCK)
endif()
if(SABOTAGE)
    add_compile_definitions(SABOTAGE=${SABOTAGE})
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()
