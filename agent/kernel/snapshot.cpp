#include "agent/kernel/snapshot.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/pkt_sched.h>

#include <array>
#include <map>

namespace holdfast::agent::kernel {
namespace {

std::string handle_text(std::uint32_t handle) {
  return handle == TC_H_ROOT ? "root" : fmt::format("{:x}:{:x}", handle >> 16, handle & 0xffff);
}

void add_links(const std::vector<Link>& links, Snapshot& snapshot) {
  for (const Link& link : links) {
    snapshot.entries.emplace_back(
        fmt::format("link|{} {}", link.ifindex, link.name),
        fmt::format("{} mtu {} master {} qdisc {}", link.up ? "up" : "down", link.mtu, link.master,
                    link.qdisc));
  }
}

Result<void> add_filters(const Link& link, const std::vector<Qdisc>& qdiscs, Snapshot& snapshot) {
  std::vector<std::uint32_t> parents;
  for (const Qdisc& qdisc : qdiscs) {
    if (qdisc.ifindex != link.ifindex) {
      continue;
    }
    if (qdisc.kind == "clsact" || qdisc.kind == "ingress") {
      parents.push_back(TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS));
      parents.push_back(TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS));
    } else if (qdisc.handle != 0) {
      parents.push_back(qdisc.handle);
    }
  }
  for (const std::uint32_t parent : parents) {
    auto filters = list_filters(link.ifindex, parent);
    if (!filters) {
      continue;  // a classless qdisc has none, and says so with an error
    }
    for (const Filter& filter : *filters) {
      snapshot.entries.emplace_back(
          fmt::format("filter|{} parent {} pref {} {} handle {:#x}", link.name, handle_text(parent),
                      filter.priority, filter.kind, filter.handle),
          fmt::format("{} {:016x}", filter.name, filter.options_hash));
    }
  }
  return {};
}

void add_tcx(const Link& link, Snapshot& snapshot) {
  constexpr std::array<std::pair<int, const char*>, 2> kHooks = {{{46, "ingress"}, {47, "egress"}}};
  for (const auto& [type, name] : kHooks) {
    std::array<__u32, 64> ids{};
    __u32 count = ids.size();
    // A kernel without tcx says EINVAL: nothing is attached then.
    if (bpf_prog_query(static_cast<int>(link.ifindex), static_cast<bpf_attach_type>(type), 0,
                       nullptr, ids.data(), &count) != 0) {
      continue;
    }
    for (__u32 i = 0; i < count; ++i) {
      snapshot.entries.emplace_back(fmt::format("tcx program|{} {} {}", link.name, name, ids[i]),
                                    "attached");
    }
  }
}

}  // namespace

Result<Snapshot> take_snapshot() {
  Snapshot snapshot;
  auto links = list_links();
  if (!links) {
    return std::unexpected(links.error());
  }
  auto qdiscs = list_qdiscs();
  if (!qdiscs) {
    return std::unexpected(qdiscs.error());
  }
  add_links(*links, snapshot);
  for (const Link& link : *links) {
    for (const Qdisc& qdisc : *qdiscs) {
      if (qdisc.ifindex == link.ifindex) {
        snapshot.entries.emplace_back(
            fmt::format("qdisc|{} {} parent {}", link.name, qdisc.kind, handle_text(qdisc.parent)),
            fmt::format("handle {} {:016x}", handle_text(qdisc.handle), qdisc.options_hash));
      }
    }
    if (auto added = add_filters(link, *qdiscs, snapshot); !added) {
      return std::unexpected(added.error());
    }
    add_tcx(link, snapshot);
  }
  return snapshot;
}

std::vector<SnapshotDifference> compare(const Snapshot& before, const Snapshot& after) {
  const std::map<std::string, std::string> old_entries(before.entries.begin(),
                                                       before.entries.end());
  const std::map<std::string, std::string> new_entries(after.entries.begin(), after.entries.end());
  std::vector<SnapshotDifference> differences;
  const auto add = [&](const std::string& key, std::string was, std::string is) {
    const std::size_t bar = key.find('|');
    differences.push_back({key.substr(0, bar), key.substr(bar + 1), std::move(was), std::move(is)});
  };
  for (const auto& [key, value] : old_entries) {
    const auto found = new_entries.find(key);
    if (found == new_entries.end()) {
      add(key, value, "");
    } else if (found->second != value) {
      add(key, value, found->second);
    }
  }
  for (const auto& [key, value] : new_entries) {
    if (!old_entries.contains(key)) {
      add(key, "", value);
    }
  }
  return differences;
}

}  // namespace holdfast::agent::kernel
