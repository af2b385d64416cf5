#include "tests/bench/reference_programs.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <cerrno>
#include <cstddef>
#include <vector>

namespace holdfast::bench {
namespace {

constexpr const char* kName = "bench_reference";
constexpr const char* kLicense = "Dual BSD/GPL";
constexpr int kNext = -1;
// Of an Ethernet frame that carries IPv4.
constexpr int kDestinationOffset = 14 + 16;
constexpr int kHeadersEnd = 14 + 20;

constexpr bpf_insn instruction(int code, int to, int from, int offset, int immediate) {
  return {.code = static_cast<__u8>(code),
          .dst_reg = static_cast<__u8>(to & 0xf),
          .src_reg = static_cast<__u8>(from & 0xf),
          .off = static_cast<__s16>(offset),
          .imm = immediate};
}
constexpr bpf_insn set(int to, int value) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}
constexpr bpf_insn copy(int to, int from) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}
constexpr bpf_insn load_word(int to, int from, std::size_t offset) {
  return instruction(BPF_LDX | BPF_MEM | BPF_W, to, from, static_cast<int>(offset), 0);
}
constexpr bpf_insn arithmetic32(int operation, int to, std::uint32_t value) {
  return instruction(BPF_ALU | operation | BPF_K, to, 0, 0, static_cast<int>(value));
}
constexpr bpf_insn call(int helper) {
  return instruction(BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}
constexpr bpf_insn leave() {
  return instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

Result<UniqueFd> load(const std::vector<bpf_insn>& program) {
  UniqueFd fd(::bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, kName, kLicense, program.data(),
                              program.size(), nullptr));
  if (!fd) {
    return fail_errno("load a program to compare with", errno);
  }
  return fd;
}

}  // namespace

Result<UniqueFd> load_empty_program() {
  return load({set(BPF_REG_0, kNext), leave()});
}

Result<Driver> Driver::make(const Destinations& destinations, int program_fd) {
  UniqueFd next(
      ::bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, kName, sizeof(__u32), sizeof(__u32), 1, nullptr));
  if (!next) {
    return fail_errno("make a program array", errno);
  }
  const std::vector<bpf_insn> instructions = {
      copy(BPF_REG_6, BPF_REG_1),
      load_word(BPF_REG_7, BPF_REG_6, offsetof(__sk_buff, data)),
      load_word(BPF_REG_8, BPF_REG_6, offsetof(__sk_buff, data_end)),
      copy(BPF_REG_2, BPF_REG_7),
      instruction(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, kHeadersEnd),
      instruction(BPF_JMP | BPF_JGT | BPF_X, BPF_REG_2, BPF_REG_8, 11, 0),  // to the end
      call(BPF_FUNC_get_prandom_u32),
      arithmetic32(BPF_MOD, BPF_REG_0, destinations.count),
      arithmetic32(BPF_MUL, BPF_REG_0, destinations.step),
      arithmetic32(BPF_ADD, BPF_REG_0, destinations.first),
      instruction(BPF_ALU | BPF_END | BPF_TO_BE, BPF_REG_0, 0, 0, 32),
      instruction(BPF_STX | BPF_MEM | BPF_W, BPF_REG_7, BPF_REG_0, kDestinationOffset, 0),
      copy(BPF_REG_1, BPF_REG_6),
      instruction(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_2, BPF_PSEUDO_MAP_FD, 0, next.get()),
      instruction(0, 0, 0, 0, 0),  // the load's second half
      set(BPF_REG_3, 0),
      call(BPF_FUNC_tail_call),
      set(BPF_REG_0, kNext),
      leave(),
  };
  auto program = load(instructions);
  if (!program) {
    return std::unexpected(program.error());
  }
  const __u32 first = 0;
  if (::bpf_map_update_elem(next.get(), &first, &program_fd, BPF_ANY) != 0) {
    return fail_errno("fill the program array", errno);
  }
  return Driver(std::move(next), std::move(*program));
}

}  // namespace holdfast::bench
