// The trials behind features.h: each asks the kernel to do a thing once, and undoes it.
#pragma once

#include "agent/kernel/features.h"

namespace holdfast::agent::kernel {

// What was learnt without a network namespace: loads programs and makes maps, closed at once.
struct BpfTrials {
  int bpf_errno = 0;  // of the plainest use of bpf(2); 0: usable
  Feature sched_cls, lpm_trie, mappable_array, bpf_loop, coarse_clock;
};
BpfTrials try_bpf();

// Which of the trials in a namespace to leave out: they would make the kernel load a module.
struct NamespaceTrialChoice {
  bool clsact = true, netem = true, ifb = true, tun = true, nf_tables = true;
};
struct NamespaceTrials {
  Feature tcx, clsact, netem, ifb, tun, nf_tables;
};
// Runs in a thread of its own that leaves for a fresh network namespace; all unknown where it may
// not.
NamespaceTrials try_in_own_namespace(const NamespaceTrialChoice& choice);

}  // namespace holdfast::agent::kernel
