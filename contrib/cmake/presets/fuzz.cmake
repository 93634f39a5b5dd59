# The fuzzers: clang's libFuzzer, with the sanitizers that make it see.
set(CMAKE_C_COMPILER clang CACHE STRING "")
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(CMAKE_C_FLAGS_DEBUG "-g -O1" CACHE STRING "")
set(DBTLS_SANITIZE "address,undefined" CACHE STRING "")
set(DBTLS_FUZZ ON CACHE BOOL "")
