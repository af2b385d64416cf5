#include "tests/support/injection.h"

#include <chrono>

namespace holdfast::test {

using agent::kernel::DataPath;
using agent::kernel::Link;

Result<std::unique_ptr<DataPath>> load_live(agent::kernel::Kernel& kernel,
                                            const agent::kernel::NetNamespace& netns,
                                            const std::vector<agent::RuleSpec>& rules) {
  auto table = agent::build_table(rules);
  if (!table) {
    return std::unexpected(table.error());
  }
  auto path = kernel.load(netns, *table, {});
  if (!path) {
    return std::unexpected(path.error());
  }
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto deadline = static_cast<std::uint64_t>((now + std::chrono::hours(1)).count());
  (*path)->set_lease(deadline);
  for (std::size_t i = 0; i < rules.size(); ++i) {
    (*path)->activate(i, rules[i].match.direction, deadline);
  }
  return path;
}

Result<std::vector<Link>> link_named(agent::kernel::Kernel& kernel,
                                     const agent::kernel::NetNamespace& netns,
                                     const std::string& name) {
  auto links = kernel.links(netns);
  if (!links) {
    return std::unexpected(links.error());
  }
  std::erase_if(*links, [&](const Link& link) { return link.name != name; });
  if (links->empty()) {
    return fail(ErrorKind::not_found, "no interface " + name);
  }
  return links;
}

Result<std::unique_ptr<DataPath>> inject(agent::kernel::Kernel& kernel,
                                         const agent::kernel::NetNamespace& netns,
                                         const std::vector<agent::RuleSpec>& rules,
                                         const std::string& interface) {
  auto path = load_live(kernel, netns, rules);
  auto links = link_named(kernel, netns, interface);
  if (!path || !links) {
    return std::unexpected(path ? links.error() : path.error());
  }
  if (auto attached = (*path)->attach(*links); !attached) {
    return std::unexpected(attached.error());
  }
  return path;
}

}  // namespace holdfast::test
