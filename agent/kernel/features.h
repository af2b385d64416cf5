// What this kernel and process can do, found out by trying it: kernel versions are never compared,
// since distributions port features back and switch them off. Probed once, passed in, and plain
// data for tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/kernel/node_facts.h"

namespace holdfast::agent::kernel {

enum class Availability {
  yes,
  no,
  unknown,  // could not be tried, for want of a privilege
};

struct Feature {
  Availability state = Availability::unknown;
  std::string detail{};  // the kernel's answer or where the feature comes from; may be empty

  bool yes() const { return state == Availability::yes; }
};

// Why the kernel refuses bpf(2).
enum class BpfRefusal {
  none,
  not_built_in,        // no such system call
  missing_capability,  // not root, or root without CAP_BPF or CAP_NET_ADMIN
  user_namespace,      // root of a user namespace: its capabilities do not count for BPF
  seccomp,             // a filter of the container runtime or the service manager
  lockdown,
  unexplained,  // a security module, most likely
};

struct Features {
  std::string release;  // "6.1.0-18-amd64", for messages only
  NodeFacts node;
  std::vector<std::string>
      missing_capabilities;  // "CAP_NET_ADMIN"; of those that some experiment needs

  BpfRefusal bpf_refusal = BpfRefusal::none;
  int bpf_errno = 0;       // what bpf(2) answered, where it is refused
  Feature bpf;             // the system call itself
  Feature sched_cls;       // programs on the path of packets
  Feature lpm_trie;        // maps of prefixes
  Feature mappable_array;  // maps that the agent writes in place
  Feature bpf_loop;
  Feature coarse_clock;  // bpf_ktime_get_coarse_ns

  Feature tcx;     // links to an interface that go with their process
  Feature clsact;  // qdisc and cls_bpf filter: what was there before tcx
  Feature netem;
  Feature ifb;
  Feature tun;
  Feature nf_tables;

  std::uint64_t memlock_bytes = 0;  // RLIMIT_MEMLOCK; UINT64_MAX: unlimited
  std::uint64_t tick_ns = 0;        // resolution of the kernel's coarse clock: 1/HZ; 0: not known

  // How programs are attached on this node: "tcx", "clsact", or empty where neither is known to
  // work.
  std::string_view attach_mechanism() const;
};

// Tries everything out. Takes some 10 ms, touches nothing of the host: interfaces and qdiscs are
// tried in a network namespace of its own, which is gone afterwards, and no module is loaded.
// `root` as in read_node_facts(); what is asked of the kernel itself is always the real one's
// answer.
Features probe_features(const std::string& root = {});

// probe_features() of this node, done at the first call. Safe to call from any thread.
const Features& host_features();

// Why bpf(2) answered with this errno. Pure.
BpfRefusal explain_refusal(int bpf_errno, const NodeFacts& node);

// The names of the capabilities that are needed and not held. CAP_SYS_ADMIN includes CAP_BPF and
// CAP_PERFMON.
std::vector<std::string> missing_capabilities(const NodeFacts& node);

}  // namespace holdfast::agent::kernel
