# For the debugger: without an optimizer.
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
