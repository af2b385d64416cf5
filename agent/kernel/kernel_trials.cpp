#include "agent/kernel/kernel_trials.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <system_error>
#include <thread>

#include "agent/kernel/netlink_trials.h"
#include "common/unique_fd.h"

namespace holdfast::agent::kernel {

namespace {

// Of bpf_attach_type; the headers of Debian 12's kernel are older than tcx.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
// Every network namespace is born with `lo`, and the kernel gives it this number.
constexpr int kLoopbackIndex = 1;
// Helpers that allow any licence need none, but probing must not depend on which ones do.
constexpr const char* kLicense = "GPL";
// Of programs and maps. Not "hf_...": that is what a fault's programs are told by.
constexpr const char* kName = "holdfast_trial";

std::string errno_text(int error_number) {
  return std::generic_category().message(std::abs(error_number));
}

// EPERM says something about us, not about the kernel.
Feature from_errno(const char* attempt, int error_number) {
  const int positive = std::abs(error_number);
  const bool about_us = positive == EPERM || positive == EACCES;
  return Feature{about_us ? Availability::unknown : Availability::no,
                 std::string(attempt) + ": " + errno_text(positive)};
}

constexpr bpf_insn set_r0(int value) {
  return {.code = BPF_ALU64 | BPF_MOV | BPF_K,
          .dst_reg = BPF_REG_0,
          .src_reg = 0,
          .off = 0,
          .imm = value};
}
constexpr bpf_insn call(int helper) {
  return {.code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = helper};
}
constexpr bpf_insn leave() {
  return {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0};
}

// A program that lets every packet pass on to whoever comes next (-1 is TCX_NEXT and
// TC_ACT_UNSPEC).
constexpr std::array kPassProgram{set_r0(-1), leave()};

int load_program(std::span<const bpf_insn> instructions, std::span<char> log = {}) {
  LIBBPF_OPTS(bpf_prog_load_opts, options);
  if (!log.empty()) {
    options.log_level = 1;
    options.log_buf = log.data();
    options.log_size = static_cast<__u32>(log.size());
  }
  return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, kName, kLicense, instructions.data(),
                       instructions.size(), &options);
}

Feature try_program(std::span<const bpf_insn> instructions) {
  const UniqueFd program(load_program(instructions));
  return program ? Feature{Availability::yes} : from_errno("program load", errno);
}

// bpf_loop() wants a callback that the program's own type information describes: too much for a
// hand-made program. The verifier refuses it either way, and its words tell whether it knows the
// helper.
Feature try_helper_by_log(int helper) {
  std::array<char, 4096> log{};
  const std::array program{call(helper), leave()};
  const UniqueFd loaded(load_program(program, log));
  if (loaded) {
    return Feature{Availability::yes};
  }
  const int error_number = errno;
  const std::string_view words(log.data());
  if (words.empty()) {
    return from_errno("program load", error_number);
  }
  for (const std::string_view refusal : {"invalid func ", "unknown func ", "cannot use helper "}) {
    if (words.find(refusal) != std::string_view::npos) {
      return Feature{Availability::no, "the verifier does not know the helper"};
    }
  }
  return Feature{Availability::yes};
}

Feature try_map(bpf_map_type type, __u32 key_size, __u32 flags) {
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = flags);
  const UniqueFd map(bpf_map_create(type, kName, key_size, sizeof(__u64), 1, &options));
  return map ? Feature{Availability::yes} : from_errno("map create", errno);
}

Feature try_tcx() {
  const UniqueFd program(load_program(kPassProgram));
  if (!program) {
    return from_errno("program load", errno);
  }
  const UniqueFd link(bpf_link_create(program.get(), kLoopbackIndex, kTcxIngress, nullptr));
  return link ? Feature{Availability::yes} : from_errno("link create", errno);
}

// The qdisc and the filter would go with the namespace, but later: namespaces are cleaned up in the
// background, and the program would be seen on the host until then.
Feature try_clsact() {
  const UniqueFd program(load_program(kPassProgram));
  if (!program) {
    return from_errno("program load", errno);
  }
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = kLoopbackIndex, .attach_point = BPF_TC_EGRESS);
  if (const int error = bpf_tc_hook_create(&hook); error != 0) {
    return from_errno("clsact qdisc", error);
  }
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program.get());
  const int attach_error = bpf_tc_attach(&hook, &options);
  // Both together are the qdisc itself.
  // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange)
  hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  bpf_tc_hook_destroy(&hook);
  return attach_error == 0 ? Feature{Availability::yes} : from_errno("bpf filter", attach_error);
}

// The device goes with its descriptor.
Feature try_tun() {
  const UniqueFd device(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!device) {
    return from_errno("/dev/net/tun", errno);
  }
  ifreq request{};
  std::strncpy(request.ifr_name, "hf-trial", sizeof(request.ifr_name) - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (::ioctl(device.get(), TUNSETIFF, &request) != 0) {
    return from_errno("TUNSETIFF", errno);
  }
  return Feature{Availability::yes};
}

// libbpf reports refusals on standard error by itself; here they are answers.
class QuietLibbpf {
 public:
  QuietLibbpf() : previous_(libbpf_set_print(nullptr)) {}
  QuietLibbpf(const QuietLibbpf&) = delete;
  QuietLibbpf& operator=(const QuietLibbpf&) = delete;
  ~QuietLibbpf() { libbpf_set_print(previous_); }

 private:
  libbpf_print_fn_t previous_;
};

void run_namespace_trials(const NamespaceTrialChoice& choice, NamespaceTrials& trials) {
  if (::unshare(CLONE_NEWNET) != 0) {
    const Feature untried{Availability::unknown, "network namespace: " + errno_text(errno)};
    trials = {untried, untried, untried, untried, untried, untried};
    return;
  }
  trials.tcx = try_tcx();
  if (choice.clsact) {
    trials.clsact = try_clsact();
  }
  if (choice.netem) {
    trials.netem = try_netem(kLoopbackIndex);
  }
  if (choice.ifb) {
    trials.ifb = try_ifb();
  }
  if (choice.tun) {
    trials.tun = try_tun();
  }
  if (choice.nf_tables) {
    trials.nf_tables = try_nf_tables();
  }
}

}  // namespace

BpfTrials try_bpf() {
  const QuietLibbpf quiet;
  BpfTrials trials;
  {
    const UniqueFd map(
        bpf_map_create(BPF_MAP_TYPE_ARRAY, kName, sizeof(__u32), sizeof(__u64), 1, nullptr));
    if (!map) {
      trials.bpf_errno = errno;
      return trials;
    }
  }
  trials.sched_cls = try_program(kPassProgram);
  trials.lpm_trie =
      try_map(BPF_MAP_TYPE_LPM_TRIE, sizeof(bpf_lpm_trie_key) + sizeof(__u32), BPF_F_NO_PREALLOC);
  trials.mappable_array = try_map(BPF_MAP_TYPE_ARRAY, sizeof(__u32), BPF_F_MMAPABLE);
  if (trials.sched_cls.yes()) {
    trials.bpf_loop = try_helper_by_log(BPF_FUNC_loop);
    trials.coarse_clock =
        try_program(std::array{call(BPF_FUNC_ktime_get_coarse_ns), set_r0(-1), leave()});
  }
  return trials;
}

NamespaceTrials try_in_own_namespace(const NamespaceTrialChoice& choice) {
  const QuietLibbpf quiet;
  NamespaceTrials trials;
  try {
    // Entering a namespace is for good, so the thread that does it must not be the caller's.
    std::thread trial([&] { run_namespace_trials(choice, trials); });
    trial.join();
  } catch (const std::system_error& error) {
    const Feature untried{Availability::unknown, std::string("thread: ") + error.what()};
    trials = {untried, untried, untried, untried, untried, untried};
  }
  return trials;
}

}  // namespace holdfast::agent::kernel
