# How everything is compiled: C11, no warnings, hardened.  One interface
# target, dbtls_flags, which every target of ours links to.

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
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# assert() states what our own code guarantees: it stays on in release builds.
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELWITHDEBINFO
	"${CMAKE_C_FLAGS_RELWITHDEBINFO}")

add_library(dbtls_flags INTERFACE)
target_include_directories(dbtls_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(dbtls_flags INTERFACE _GNU_SOURCE
	OPENSSL_API_COMPAT=30000 OPENSSL_NO_DEPRECATED
	DBTLS_VERSION="${PROJECT_VERSION}")
target_compile_options(dbtls_flags INTERFACE
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
	-Wpointer-arith -Wcast-align -Wcast-qual -Wwrite-strings -Wundef
	-Wformat=2 -Wswitch-enum -Wvla -Wnull-dereference -Wdouble-promotion
	-fno-common -fstack-protector-strong)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
	target_compile_options(dbtls_flags INTERFACE -Wduplicated-cond
		-Wlogical-op -Wenum-conversion -Wtrampolines
		-fstack-clash-protection)
else()
	target_compile_options(dbtls_flags INTERFACE -Wenum-conversion)
endif()
if(DBTLS_WERROR)
	target_compile_options(dbtls_flags INTERFACE -Werror)
endif()

if(DBTLS_SANITIZE)
	add_compile_options(-fsanitize=${DBTLS_SANITIZE}
		-fno-omit-frame-pointer -fno-sanitize-recover=all)
	add_link_options(-fsanitize=${DBTLS_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
	target_compile_options(dbtls_flags INTERFACE
		-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
if(DBTLS_FUZZ)
	add_compile_options(-fsanitize=fuzzer-no-link)
endif()
add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)
