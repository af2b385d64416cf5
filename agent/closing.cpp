#include "agent/closing.h"

#include <netinet/in.h>

#include <algorithm>

#include "agent/prefix.h"

namespace holdfast::agent {
namespace {

bool admits(const std::vector<plan::PortRange>& ranges, std::uint16_t port) {
  return ranges.empty() || std::ranges::any_of(ranges, [port](const plan::PortRange& range) {
           return range.first <= port && port <= range.last;
         });
}

// The same question as hf_is_protected (bpf/protect.bpf.h) answers for a packet.
bool protects(const hf_protected& endpoint, const kernel::TcpConnection& connection) {
  const auto is = [&](const std::array<std::uint8_t, 16>& address, std::uint16_t port) {
    return (endpoint.port == 0 || endpoint.port == port) &&
           (endpoint.any_address != 0 || std::ranges::equal(address, endpoint.address));
  };
  return (endpoint.protocol == 0 || endpoint.protocol == IPPROTO_TCP) &&
         (is(connection.local, connection.local_port) ||
          (endpoint.local_only == 0 && is(connection.remote, connection.remote_port)));
}

}  // namespace

bool is_to_be_closed(const kernel::TcpConnection& connection, const RuleSpec& rule,
                     const std::vector<hf_protected>& endpoints) {
  const plan::Match& match = rule.match;
  const bool admits_tcp =
      match.protocol == plan::Protocol::any || match.protocol == plan::Protocol::tcp;
  const bool admits_peer =
      match.addresses.empty() || std::ranges::any_of(match.addresses, [&](const auto& prefix) {
        return contains(prefix, connection.remote.data());
      });
  const bool admits_interface =
      rule.interfaces.empty() ||
      std::ranges::find(rule.interfaces, connection.ifindex) != rule.interfaces.end();
  return admits_tcp && admits_peer && admits_interface &&
         match.connections != plan::Connections::opening && match.flows >= 1 &&
         admits(match.ports, connection.remote_port) &&
         admits(match.local_ports, connection.local_port) &&
         std::ranges::none_of(endpoints, [&](const hf_protected& endpoint) {
           return protects(endpoint, connection);
         });
}

}  // namespace holdfast::agent
