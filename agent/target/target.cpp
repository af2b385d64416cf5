#include "agent/target/target.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "agent/kernel/tap.h"
#include "common/suggest.h"

namespace holdfast::agent {
namespace {

Result<kernel::NetNamespace> open_namespace(const plan::Target& target) {
  if (!target.netns.empty()) {
    return kernel::NetNamespace::open(target.netns);
  }
  if (target.pid != 0) {
    return kernel::NetNamespace::of_process(target.pid);
  }
  return kernel::NetNamespace::current();
}

Result<kernel::Link> find_link(const std::vector<kernel::Link>& links, const std::string& name,
                               const kernel::NetNamespace& netns) {
  const auto found = std::find_if(links.begin(), links.end(),
                                  [&](const kernel::Link& link) { return link.name == name; });
  if (found != links.end()) {
    return *found;
  }
  std::vector<std::string> names;
  names.reserve(links.size());
  for (const kernel::Link& link : links) {
    names.push_back(link.name);
  }
  const auto nearest = suggest(name, names);
  return fail(
      ErrorKind::not_found, fmt::format("{} has no interface \"{}\"", netns.label(), name),
      fmt::format("{}it has {}", nearest ? fmt::format("did you mean \"{}\"? ", *nearest) : "",
                  fmt::join(names, ", ")));
}

}  // namespace

std::vector<kernel::Link> covering_links(const std::vector<kernel::Link>& all,
                                         std::vector<std::string>& notes) {
  static const std::set<std::string> kAboveAnother = {"vlan",   "macvlan", "macvtap",
                                                      "ipvlan", "ipvtap",  "vrf"};
  std::vector<kernel::Link> covering;
  for (const kernel::Link& link : all) {
    if (kernel::is_delay_tap(link)) {
      continue;
    }
    const auto master = std::find_if(all.begin(), all.end(), [&](const kernel::Link& other) {
      return link.master != 0 && other.ifindex == link.master;
    });
    if (master != all.end() && master->kind != "vrf") {
      notes.push_back(fmt::format(
          "{} is left out: its packets are met on {} \"{}\"; target the interface itself to "
          "reach what is only forwarded between ports",
          link.name, master->kind, master->name));
    } else if (kAboveAnother.contains(link.kind)) {
      notes.push_back(fmt::format("{} ({}) is left out: its packets are met on the interface below",
                                  link.name, link.kind));
    } else {
      covering.push_back(link);
    }
  }
  return covering;
}

Result<ResolvedTarget> resolve_target(const plan::Target& target, kernel::Kernel& kernel) {
  auto netns = open_namespace(target);
  if (!netns) {
    return std::unexpected(netns.error());
  }
  auto all = kernel.links(*netns);
  if (!all) {
    return std::unexpected(all.error());
  }
  std::vector<kernel::Link> links;
  std::vector<std::string> notes;
  if (target.interface.empty()) {
    links = covering_links(*all, notes);
  } else {
    auto link = find_link(*all, target.interface, *netns);
    if (!link) {
      return std::unexpected(link.error());
    }
    links = {*link};
  }
  return ResolvedTarget{.netns = std::move(*netns),
                        .links = std::move(links),
                        .whole_namespace = target.interface.empty(),
                        .description = plan::describe(target),
                        .notes = std::move(notes)};
}

}  // namespace holdfast::agent
