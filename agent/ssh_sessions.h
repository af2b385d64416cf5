// Who is logged in on this node by SSH: the connections that a fault must not cut without asking.
#pragma once

#include <cstdint>
#include <istream>
#include <set>
#include <vector>

#include "common/plan.h"

namespace holdfast::agent {

// The ports on which this node takes SSH: 22, and the one by which the session came in that started
// this process (SSH_CONNECTION, ssh(1)).
std::set<std::uint16_t> ssh_ports();

// The peers of established connections whose own port is `port`, from the text of /proc/net/tcp or
// /proc/net/tcp6 (their columns: net/ipv4/tcp_ipv4.c, get_tcp4_sock()). Lines that can't be read
// are passed over.
std::vector<plan::Prefix> parse_peers(std::istream& table, std::uint16_t port);

// The same for the network namespace of the calling thread. Empty where /proc can't be read.
std::vector<plan::Prefix> connected_peers(std::uint16_t port);

}  // namespace holdfast::agent
