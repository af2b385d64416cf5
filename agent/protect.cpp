#include "agent/protect.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <set>
#include <sstream>

#include "agent/resolve_host.h"

namespace holdfast::agent {
namespace {

constexpr std::uint16_t kSshPort = 22;
// The kernel's default net.ipv4.ip_local_port_range: the own port of an outgoing connection.
constexpr plan::PortRange kEphemeralPorts = {32768, 60999};

// SSH sessions may come in by another port than 22: the one of the session that started this
// process is in SSH_CONNECTION ("client port server port", ssh(1)).
std::set<std::uint16_t> ssh_ports() {
  std::set<std::uint16_t> ports = {kSshPort};
  // Read once, before any thread of ours exists that could change the environment; none ever does.
  if (const char* session = std::getenv("SSH_CONNECTION");
      session != nullptr) {  // NOLINT(concurrency-mt-unsafe)
    std::istringstream words(session);
    std::string client, client_port, server;
    std::uint16_t server_port = 0;
    if (words >> client >> client_port >> server >> server_port && server_port != 0) {
      ports.insert(server_port);
    }
  }
  return ports;
}

bool is_loopback(const hf_protected& endpoint) {
  const __u8* a = endpoint.address;
  const bool mapped =
      std::all_of(a, a + 10, [](__u8 byte) { return byte == 0; }) && a[10] == 0xff && a[11] == 0xff;
  return (mapped && a[12] == 127) ||
         (std::all_of(a, a + 15, [](__u8 byte) { return byte == 0; }) && a[15] == 1);
}

bool prefix_contains(const plan::Prefix& prefix, const __u8* address) {
  for (int bit = 0; bit < prefix.length; ++bit) {
    const int shift = 7 - bit % 8;
    if (((prefix.address[bit / 8] ^ address[bit / 8]) >> shift & 1) != 0) {
      return false;
    }
  }
  return true;
}

bool admits_address(const plan::Match& match, const hf_protected& endpoint) {
  return match.addresses.empty() || endpoint.any_address != 0 ||
         std::any_of(
             match.addresses.begin(), match.addresses.end(),
             [&](const plan::Prefix& prefix) { return prefix_contains(prefix, endpoint.address); });
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

bool overlaps(const RuleSpec& rule, const hf_protected& endpoint) {
  if (!admits_protocol(rule.match.protocol, endpoint.protocol)) {
    return false;
  }
  const plan::PortRange port{endpoint.port, endpoint.port};
  const bool as_peer = endpoint.local_only == 0 && admits_address(rule.match, endpoint) &&
                       admits_ports(rule.match.ports, port) &&
                       admits_ports(rule.match.local_ports, kEphemeralPorts);
  // The other end could be anybody, so the rule's addresses say nothing.
  const bool as_own = admits_ports(rule.match.local_ports, port) &&
                      admits_ports(rule.match.ports, kEphemeralPorts) &&
                      (endpoint.local_only != 0 || is_loopback(endpoint));
  return as_peer || as_own;
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

const ProtectedEndpoint* find_overlap(const RuleSpec& rule,
                                      const std::vector<ProtectedEndpoint>& endpoints,
                                      std::uint64_t netns) {
  const auto found =
      std::find_if(endpoints.begin(), endpoints.end(), [&](const ProtectedEndpoint& one) {
        return one.netns == netns && overlaps(rule, one.endpoint);
      });
  return found == endpoints.end() ? nullptr : &*found;
}

}  // namespace holdfast::agent
