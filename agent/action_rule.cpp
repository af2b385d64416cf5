#include "agent/action_rule.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <net/if_arp.h>

#include <algorithm>

#include "agent/resolve_host.h"

namespace holdfast::agent {
namespace {

constexpr std::size_t kListedAddresses = 8;

}  // namespace

Result<void> resolve_hosts(plan::Match& match, std::vector<std::string>& notes) {
  for (const std::string& host : match.hosts) {
    auto addresses = resolve_host(host);
    if (!addresses) {
      return std::unexpected(addresses.error());
    }
    std::vector<std::string> written;
    for (const plan::Prefix& address : *addresses) {
      written.push_back(address.written);
      match.addresses.push_back(address);
    }
    notes.push_back(fmt::format("{} is {} for the whole run", host, fmt::join(written, ", ")));
  }
  match.hosts.clear();
  return {};
}

std::vector<std::string> describe_rule(const RuleSpec& rule, const plan::Action& action) {
  plan::Match shown = rule.match;
  const std::size_t hidden =
      shown.addresses.size() > kListedAddresses ? shown.addresses.size() - kListedAddresses : 0;
  if (hidden > 0) {
    shown.addresses.resize(kListedAddresses);
  }
  return {fmt::format("{}: {}{}", plan::describe_fault(action), plan::describe(shown),
                      hidden > 0 ? fmt::format(" and {} more addresses", hidden) : "")};
}

Result<void> check_line(const ResolvedTarget& target, std::vector<std::string>& notes) {
  const auto loops =
      std::ranges::count(target.links, ARPHRD_LOOPBACK, &kernel::Link::hardware_type);
  if (static_cast<std::size_t>(loops) == target.links.size()) {
    return fail(ErrorKind::unsupported, "packets over loopback can't be handed to the delay line",
                "target the interface between two namespaces or machines");
  }
  notes.emplace_back("packets go through a delay line of this process, on a TAP of its own");
  if (loops > 0) {
    notes.emplace_back("packets over loopback are left alone: the delay line can't have them");
  }
  return {};
}

}  // namespace holdfast::agent
