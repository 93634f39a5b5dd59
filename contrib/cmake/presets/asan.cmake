# AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer.  -O1 keeps
# the stacks readable and the tests bearable.
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(CMAKE_C_FLAGS_DEBUG "-g -O1" CACHE STRING "")
set(DBTLS_SANITIZE "address,undefined" CACHE STRING "")
