# Warnings, sanitizers and the compiler cache, for every target through holdfast_options.
add_library(holdfast_options INTERFACE)
target_compile_options(holdfast_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual -Werror)
target_include_directories(holdfast_options INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
target_compile_definitions(holdfast_options INTERFACE FMT_ENFORCE_COMPILE_STRING=0)

if(HOLDFAST_SANITIZE)
  list(JOIN HOLDFAST_SANITIZE "," _sanitizers)
  add_compile_options(-fsanitize=${_sanitizers} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${_sanitizers})
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

# holdfast_library(NAME SOURCES... ) – one static library with the project's options.
function(holdfast_library name)
  add_library(${name} STATIC ${ARGN})
  target_link_libraries(${name} PUBLIC holdfast_options)
endfunction()
