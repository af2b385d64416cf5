// How a network namespace looks to the tools that show what an experiment could leave behind: ip
// link, tc, bpftool.
#pragma once

#include "agent/kernel/kernel.h"

namespace holdfast::agent::kernel {

// Of the calling thread's namespace: links, qdiscs, filters of every qdisc that has any, and tcx
// programs.
Result<Snapshot> take_snapshot();

// One object that is not in both snapshots, or not as it was.
struct SnapshotDifference {
  std::string what;           // "link", "qdisc", "filter", "tcx program"
  std::string which;          // "eth0 clsact"
  std::string before, after;  // empty: absent
};
std::vector<SnapshotDifference> compare(const Snapshot& before, const Snapshot& after);

}  // namespace holdfast::agent::kernel
