# What is shipped: optimized, hardened, with symbols to be stripped by the
# package.  The asserts stay.
set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "")
