set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(DBTLS_SANITIZE "address,undefined" CACHE STRING "")
