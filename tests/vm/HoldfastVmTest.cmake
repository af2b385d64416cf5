# hf_vm_test(NAME name [KERNELS kernel…] [TIMEOUT seconds] [MEMORY MiB] COMMAND command…)
#
# One ctest test for each kernel (default: all of tests/vm/kernels), vm.<kernel>.<name>: COMMAND in a guest with that kernel.
# It passes if the command exits with 0 and the kernel's log is clean; the log stays in <build>/vm-logs.
# TIMEOUT is for boot (3 s) and command together, default 120: the guest computes about 20 times slower than its host.
# COMMAND may use generator expressions, as in $<TARGET_FILE:bpf_tests>.
set(HF_VM_DIR ${CMAKE_CURRENT_LIST_DIR})

# Every line of the list is one kernel: its name is the first word.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${HF_VM_DIR}/kernels)
file(STRINGS ${HF_VM_DIR}/kernels _kernel_lines REGEX "^[a-z]")
set(HF_VM_KERNELS)
foreach(_line IN LISTS _kernel_lines)
  string(REGEX MATCH "^[^ \t]+" _name "${_line}")
  list(APPEND HF_VM_KERNELS ${_name})
endforeach()

function(hf_vm_test)
  cmake_parse_arguments(PARSE_ARGV 0 ARG "" "NAME;TIMEOUT;MEMORY" "KERNELS;COMMAND")
  if(NOT ARG_NAME OR NOT ARG_COMMAND OR ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "hf_vm_test needs NAME and COMMAND, and does not know: ${ARG_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(NOT ARG_MEMORY)
    set(ARG_MEMORY 1024)
  endif()
  if(NOT ARG_KERNELS)
    set(ARG_KERNELS ${HF_VM_KERNELS})
  endif()
  # The harness's own limit comes first: it says where the guest was, ctest would only say that time ran out.
  math(EXPR outer_timeout "${ARG_TIMEOUT} + 30")
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/vm-logs)
  foreach(kernel IN LISTS ARG_KERNELS)
    set(test vm.${kernel}.${ARG_NAME})
    add_test(NAME ${test}
      COMMAND ${HF_VM_DIR}/run-in-guest --kernel ${kernel} --memory ${ARG_MEMORY} --timeout ${ARG_TIMEOUT}
              --keep ${CMAKE_BINARY_DIR} --log ${CMAKE_BINARY_DIR}/vm-logs/${test}.log -- ${ARG_COMMAND})
    # One guest at a time: each keeps two processors busy, and two at once would make each other's timeouts come true.
    set_tests_properties(${test} PROPERTIES LABELS vm TIMEOUT ${outer_timeout} RESOURCE_LOCK guest PROCESSORS 2)
  endforeach()
endfunction()
