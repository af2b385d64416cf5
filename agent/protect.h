// Protected traffic: what no plan can hit. The BPF program spares it whatever the rules say; a plan
// whose match covers it is refused before that, so that nobody is surprised by a fault that hits
// less than it says.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/kernel/netns.h"
#include "agent/rule_table.h"
#include "common/result.h"

namespace holdfast::agent {

struct ProtectedEndpoint {
  hf_protected endpoint{};
  std::uint64_t netns =
      0;  // inode of the namespace from which the agent reaches it, or in which it listens
  std::string why;  // "SSH to this node (port 22)"
  // Of a server on this node, whose clients could be anybody: those that are connected now.
  std::vector<plan::Prefix> clients{};
};

// What a rule's match has to do with protected traffic.
struct Overlap {
  const ProtectedEndpoint* endpoint = nullptr;
  // Whether it surely hits what is in use. Otherwise it only might: a match of addresses from which
  // nobody is logged in covers the SSH session that somebody could open from there.
  bool certain = false;
};

// All endpoints to protect: the peers, with their names resolved to every address, and the node's
// own SSH servers. `agent_netns` is the inode of the agent's namespace. Errors: not_found (a
// namespace), unavailable (a name that does not resolve).
Result<std::vector<ProtectedEndpoint>> protected_endpoints(const std::vector<ProtectedPeer>& peers,
                                                           std::uint64_t agent_netns);

// The subset that matters in one namespace: those of this very namespace, and elsewhere those with
// an address that means the same in every namespace (not loopback).
std::vector<hf_protected> for_namespace(const std::vector<ProtectedEndpoint>& endpoints,
                                        std::uint64_t netns);

// The worst overlap of the rule's match with the protected endpoints of this namespace, if any.
std::optional<Overlap> find_overlap(const RuleSpec& rule,
                                    const std::vector<ProtectedEndpoint>& endpoints,
                                    std::uint64_t netns);

}  // namespace holdfast::agent
