# How everything is compiled: C11, without a warning, hardened.  All of it is
# in one interface target, dbtls_flags, which every target of ours links to.
# Known to be right for gcc 12 and clang 14; what depends on the machine is
# asked of the compiler.

include(CheckCCompilerFlag)
include(CheckPIESupported)

if(PROJECT_SOURCE_DIR STREQUAL PROJECT_BINARY_DIR)
	message(FATAL_ERROR "dbtls is not built in its source tree; "
		"say `cmake -S . -B build` (and remove CMakeCache.txt, CMakeFiles)")
endif()
if(NOT CMAKE_BUILD_TYPE)
	set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
set(DBTLS_SANITIZE "" CACHE STRING
	"-fsanitize= for everything: address,undefined or thread")
option(DBTLS_FUZZ "build the libFuzzer targets (clang)" OFF)
option(DBTLS_WERROR "warnings are errors" ON)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# assert() states what our own code guarantees: it stays on in release builds.
foreach(type RELEASE RELWITHDEBINFO MINSIZEREL)
	string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${type}
		"${CMAKE_C_FLAGS_${type}}")
endforeach()

add_library(dbtls_flags INTERFACE)
target_include_directories(dbtls_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(dbtls_flags INTERFACE _GNU_SOURCE
	OPENSSL_API_COMPAT=30000 OPENSSL_NO_DEPRECATED
	DBTLS_VERSION="${PROJECT_VERSION}")

# Warnings.
set(both
	-Wall -Wextra -Wpedantic
	-Wshadow -Wundef -Wdate-time -Wredundant-decls -Wvla -Walloca
	-Wconversion -Wsign-conversion -Wdouble-promotion -Wenum-conversion
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
	-Wnested-externs -Wpointer-arith -Wwrite-strings -Wnull-dereference
	-Wformat=2 -Wmissing-format-attribute
	-Wswitch-enum -Wimplicit-fallthrough)
set(gcc
	-Wcast-align=strict -Wcast-qual -Wduplicated-cond -Wduplicated-branches
	-Wlogical-op -Wtrampolines -Wshift-overflow=2 -Wuse-after-free=3)
# -Wcast-qual is gcc's alone: clang holds the casts inside OpenSSL's macros
# against us.
# With -Wswitch-enum, -Wcovered-switch-default leaves no room for a `default:`
# in a switch over an enum.  -Wno-string-conversion: assert(!"words") is meant.
set(clang
	-Wcast-align -Wcovered-switch-default -Wassign-enum -Wcomma
	-Wconditional-uninitialized -Wloop-analysis
	-Wmissing-variable-declarations -Wshift-sign-overflow
	-Wunreachable-code -Wno-string-conversion)
target_compile_options(dbtls_flags INTERFACE ${both}
	$<$<C_COMPILER_ID:GNU>:${gcc}> $<$<C_COMPILER_ID:Clang>:${clang}>)
if(DBTLS_WERROR)
	target_compile_options(dbtls_flags INTERFACE -Werror)
endif()
# contrib/check-tidy.sh brings clang's opinion to a build by gcc.
set(DBTLS_CLANG_WARNINGS ${clang})

# Sanitizers and fuzzing.
if(DBTLS_FUZZ AND NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
	message(FATAL_ERROR "DBTLS_FUZZ needs clang's libFuzzer; "
		"use contrib/cmake/presets/fuzz.cmake")
endif()
if(DBTLS_FUZZ)
	add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(DBTLS_SANITIZE)
	add_compile_options(-fsanitize=${DBTLS_SANITIZE}
		-fno-sanitize-recover=all -fno-omit-frame-pointer
		-fno-optimize-sibling-calls)
	add_link_options(-fsanitize=${DBTLS_SANITIZE})
endif()

# Hardening.  _FORTIFY_SOURCE needs an optimizer, and hides from sanitizers
# the calls that they watch.
check_pie_supported(LANGUAGES C)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
	-Wl,--as-needed)
target_compile_options(dbtls_flags INTERFACE -fno-common
	-fstack-protector-strong)
set(cpu)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|i.86)$")
	set(cpu -fcf-protection=full)
elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
	set(cpu -mbranch-protection=standard)
endif()
foreach(flag -fstack-clash-protection ${cpu})
	string(MAKE_C_IDENTIFIER "has${flag}" has)
	check_c_compiler_flag("-Werror ${flag}" ${has})
	if(${has})
		target_compile_options(dbtls_flags INTERFACE ${flag})
	endif()
endforeach()
if(NOT DBTLS_SANITIZE AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
	target_compile_options(dbtls_flags INTERFACE
		-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
