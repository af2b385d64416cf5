#include "agent/protect.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>

#include "agent/prefix.h"
#include "agent/resolve_host.h"
#include "agent/ssh_sessions.h"

namespace holdfast::agent {
namespace {

// The kernel's default net.ipv4.ip_local_port_range: the own port of an outgoing connection.
constexpr plan::PortRange kEphemeralPorts = {32768, 60999};

constexpr std::array<std::uint8_t, 16> kLoopback = {0, 0, 0,    0,    0,   0, 0, 0,
                                                    0, 0, 0xff, 0xff, 127, 0, 0, 1};

bool is_loopback(const hf_protected& endpoint) {
  const __u8* a = endpoint.address;
  const bool mapped =
      std::all_of(a, a + 10, [](__u8 byte) { return byte == 0; }) && a[10] == 0xff && a[11] == 0xff;
  return (mapped && a[12] == 127) ||
         (std::all_of(a, a + 15, [](__u8 byte) { return byte == 0; }) && a[15] == 1);
}

bool admits_address(const plan::Match& match, const __u8* address) {
  return match.addresses.empty() ||
         std::any_of(match.addresses.begin(), match.addresses.end(),
                     [&](const plan::Prefix& prefix) { return contains(prefix, address); });
}

// Whether a match of addresses means everybody, of one family at least.
bool admits_everybody(const plan::Match& match) {
  return match.addresses.empty() ||
         std::any_of(match.addresses.begin(), match.addresses.end(),
                     [](const plan::Prefix& prefix) {
                       return prefix.length == (is_ipv4(prefix) ? kIpv4PrefixLength : 0);
                     });
}

bool admits_ports(const std::vector<plan::PortRange>& ranges, plan::PortRange wanted) {
  return ranges.empty() ||
         std::any_of(ranges.begin(), ranges.end(), [&](const plan::PortRange& range) {
           return range.first <= wanted.last && wanted.first <= range.last;
         });
}

bool admits_protocol(plan::Protocol protocol, __u8 number) {
  return protocol == plan::Protocol::any || number == 0 ||
         (protocol == plan::Protocol::tcp && number == IPPROTO_TCP) ||
         (protocol == plan::Protocol::udp && number == IPPROTO_UDP);
}

plan::PortRange ports_of(const hf_protected& endpoint) {
  constexpr std::uint16_t kLastPort = 65535;
  return endpoint.port == 0 ? plan::PortRange{0, kLastPort}
                            : plan::PortRange{endpoint.port, endpoint.port};
}

// Whether the rule covers the endpoint where that is the other side of the connection.
bool covers_as_peer(const RuleSpec& rule, const hf_protected& endpoint) {
  return endpoint.local_only == 0 &&
         (endpoint.any_address != 0 || admits_address(rule.match, endpoint.address)) &&
         admits_ports(rule.match.ports, ports_of(endpoint)) &&
         admits_ports(rule.match.local_ports, kEphemeralPorts);
}

// Whether the rule admits those who talk to a server on a loopback address: nobody from outside
// does, and they have that address too, or 127.0.0.1.
bool admits_loopback_client(const RuleSpec& rule, const hf_protected& endpoint) {
  return is_loopback(endpoint) &&
         (admits_address(rule.match, endpoint.address) ||
          (is_ipv4(endpoint.address) && admits_address(rule.match, kLoopback.data())));
}

// The same where the endpoint is on this node. The other side of an SSH server could be anybody.
bool covers_as_own(const RuleSpec& rule, const hf_protected& endpoint) {
  return (endpoint.local_only != 0 || admits_loopback_client(rule, endpoint)) &&
         admits_ports(rule.match.local_ports, ports_of(endpoint)) &&
         admits_ports(rule.match.ports, kEphemeralPorts);
}

std::optional<Overlap> overlap_of(const RuleSpec& rule, const ProtectedEndpoint& one) {
  if (!admits_protocol(rule.match.protocol, one.endpoint.protocol)) {
    return std::nullopt;
  }
  if (covers_as_peer(rule, one.endpoint)) {
    return Overlap{.endpoint = &one, .certain = true};
  }
  if (!covers_as_own(rule, one.endpoint)) {
    return std::nullopt;
  }
  const bool client_hit =
      std::any_of(one.clients.begin(), one.clients.end(), [&](const plan::Prefix& client) {
        return admits_address(rule.match, client.address.data());
      });
  return Overlap{
      .endpoint = &one,
      .certain = one.endpoint.local_only == 0 || client_hit || admits_everybody(rule.match)};
}

}  // namespace

Result<std::vector<ProtectedEndpoint>> protected_endpoints(const std::vector<ProtectedPeer>& peers,
                                                           std::uint64_t agent_netns) {
  std::vector<ProtectedEndpoint> endpoints;
  for (const ProtectedPeer& peer : peers) {
    std::uint64_t netns = agent_netns;
    if (!peer.netns.empty()) {
      auto opened = kernel::NetNamespace::open(peer.netns);
      if (!opened) {
        return std::unexpected(opened.error().with_context(peer.why));
      }
      netns = opened->inode();
    }
    auto addresses = resolve_host(peer.host);
    if (!addresses) {
      return std::unexpected(addresses.error().with_context(peer.why));
    }
    for (const plan::Prefix& address : *addresses) {
      ProtectedEndpoint one{
          .endpoint = {},
          .netns = netns,
          .why = fmt::format("{} ({} port {})", peer.why, address.written, peer.port)};
      std::copy(address.address.begin(), address.address.end(), one.endpoint.address);
      one.endpoint.port = peer.port;
      one.endpoint.protocol = IPPROTO_TCP;
      endpoints.push_back(one);
    }
  }
  for (const std::uint16_t port : ssh_ports()) {
    ProtectedEndpoint ssh{.endpoint = {},
                          .netns = agent_netns,
                          .why = fmt::format("SSH to this node (port {})", port)};
    ssh.endpoint.port = port;
    ssh.endpoint.protocol = IPPROTO_TCP;
    ssh.endpoint.any_address = 1;
    ssh.endpoint.local_only = 1;
    ssh.clients = connected_peers(port);
    endpoints.push_back(ssh);
  }
  return endpoints;
}

std::vector<hf_protected> for_namespace(const std::vector<ProtectedEndpoint>& endpoints,
                                        std::uint64_t netns) {
  std::vector<hf_protected> chosen;
  for (const ProtectedEndpoint& one : endpoints) {
    const bool means_the_same = one.endpoint.any_address == 0 && !is_loopback(one.endpoint);
    if (one.netns == netns || means_the_same) {
      chosen.push_back(one.endpoint);
    }
  }
  return chosen;
}

std::optional<Overlap> find_overlap(const RuleSpec& rule,
                                    const std::vector<ProtectedEndpoint>& endpoints,
                                    std::uint64_t netns) {
  std::optional<Overlap> worst;
  for (const ProtectedEndpoint& one : endpoints) {
    if (one.netns != netns) {
      continue;
    }
    const auto found = overlap_of(rule, one);
    if (found && found->certain) {
      return found;
    }
    worst = worst ? worst : found;
  }
  return worst;
}

}  // namespace holdfast::agent
