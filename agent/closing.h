// Which connections a reset closes: those that its rule matches and nothing protects, as the
// programs would see their packets.
#pragma once

#include <vector>

#include "agent/kernel/tcp_connections.h"
#include "agent/rule_table.h"

namespace holdfast::agent {

// `endpoints`: what is protected in the connection's namespace.
bool is_to_be_closed(const kernel::TcpConnection& connection, const RuleSpec& rule,
                     const std::vector<hf_protected>& endpoints);

}  // namespace holdfast::agent
