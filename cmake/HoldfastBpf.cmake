# holdfast_bpf(TARGET SOURCE) – compiles a BPF object and makes its skeleton header `<name>.skel.h` for TARGET's users.
find_program(BPF_CLANG NAMES clang clang-14 clang-19 REQUIRED)
find_program(BPFTOOL bpftool PATHS /usr/sbin /sbin REQUIRED)

function(holdfast_bpf target source)
  get_filename_component(name ${source} NAME_WE)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(skeleton ${CMAKE_CURRENT_BINARY_DIR}/include/${name}.skel.h)
  file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.h)
  # UAPI headers only: clang's own multiarch directory holds asm/types.h on Debian.
  add_custom_command(OUTPUT ${object}
    COMMAND ${BPF_CLANG} -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter -Wno-pass-failed -Werror
            -isystem /usr/include/${CMAKE_LIBRARY_ARCHITECTURE} -I ${CMAKE_CURRENT_SOURCE_DIR}
            -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source} ${headers}
    COMMENT "BPF ${source}" VERBATIM)
  add_custom_command(OUTPUT ${skeleton}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_CURRENT_BINARY_DIR}/include
    # What bpftool writes is not ours to mend: clang-tidy leaves it alone.
    COMMAND sh -c "echo '// NOLINTBEGIN' > '${skeleton}.new' && '${BPFTOOL}' gen skeleton '${object}' name '${name}_bpf' >> '${skeleton}.new' && echo '// NOLINTEND' >> '${skeleton}.new' && mv '${skeleton}.new' '${skeleton}'"
    DEPENDS ${object}
    COMMENT "Skeleton ${name}.skel.h" VERBATIM)
  add_custom_target(${target}_generate DEPENDS ${skeleton})
  add_library(${target} INTERFACE)
  add_dependencies(${target} ${target}_generate)
  target_include_directories(${target} SYSTEM INTERFACE ${CMAKE_CURRENT_BINARY_DIR}/include)
  target_link_libraries(${target} INTERFACE PkgConfig::LIBBPF)
endfunction()
