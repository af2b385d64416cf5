// What the agent reads from rtnetlink (rtnetlink(7)): links, qdiscs and filters of the calling
// thread's namespace.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.h"

namespace holdfast::agent::kernel {

struct Link {
  std::uint32_t ifindex = 0;
  std::string name;
  std::uint16_t hardware_type = 0;  // ARPHRD_*
  bool up = false;
  std::uint32_t mtu = 0;
  std::uint32_t master = 0;  // ifindex of the bridge or bond it belongs to; 0: none
  std::string qdisc;         // kind of the root qdisc
  std::string kind;          // "veth", "bridge", "vlan", …; empty for hardware and lo
  // Whether its packets begin with an Ethernet header where tc sees them.
  bool has_ethernet() const;
};

struct Qdisc {
  std::uint32_t ifindex = 0;
  std::uint32_t handle = 0, parent = 0;
  std::string kind;
  std::uint64_t options_hash = 0;
};

struct Filter {
  std::uint32_t ifindex = 0;
  std::uint32_t handle = 0, parent = 0;
  std::uint16_t priority = 0;
  std::string kind;
  std::string name;  // of a BPF filter: its program's
  std::uint64_t options_hash = 0;
};

Result<std::vector<Link>> list_links();
Result<std::vector<Qdisc>> list_qdiscs();
// Filters below `parent` (TC_H_ROOT, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS), …) of one interface.
Result<std::vector<Filter>> list_filters(std::uint32_t ifindex, std::uint32_t parent);

}  // namespace holdfast::agent::kernel
