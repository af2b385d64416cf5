// From a plan's target to a network namespace and its interfaces on this node.
#pragma once

#include <string>
#include <vector>

#include "agent/kernel/kernel.h"
#include "common/plan.h"
#include "common/result.h"

namespace holdfast::agent {

struct ResolvedTarget {
  kernel::NetNamespace netns;
  std::vector<kernel::Link> links;  // those that the programs go to
  bool whole_namespace = false;     // interfaces that appear later belong to it too
  std::string description;          // "network namespace edge (inode 4026532511)"
  std::vector<std::string> notes;   // interfaces that are left out, and why
};

// Errors: not_found (namespace, process, interface), permission.
Result<ResolvedTarget> resolve_target(const plan::Target& target, kernel::Kernel& kernel);

// Of all links, those on which every packet of the namespace is seen once: a packet that leaves by
// a bridge's port has passed the bridge already, one of a VLAN interface passes the interface below
// it, too.
std::vector<kernel::Link> covering_links(const std::vector<kernel::Link>& all,
                                         std::vector<std::string>& notes);

}  // namespace holdfast::agent
