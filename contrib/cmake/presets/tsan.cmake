# ThreadSanitizer.  Not together with the others.
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(CMAKE_C_FLAGS_DEBUG "-g -O1" CACHE STRING "")
set(DBTLS_SANITIZE "thread" CACHE STRING "")
