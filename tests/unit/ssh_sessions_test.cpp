#include "agent/ssh_sessions.h"

#include <gtest/gtest.h>

#include <sstream>

namespace holdfast::agent {
namespace {

std::vector<std::string> peers(const std::string& table, std::uint16_t port) {
  std::istringstream in(table);
  std::vector<std::string> written;
  for (const plan::Prefix& peer : parse_peers(in, port)) {
    written.push_back(peer.written);
  }
  return written;
}

constexpr const char* kHeader =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";

TEST(SshSessions, EstablishedOnesOfThePort) {
  const std::string table = std::string(kHeader) +
                            // listening on 22
                            "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:0 0 0\n"
                            // 10.78.0.1:22 from 10.78.0.2:50000, twice from the same peer
                            "   1: 01004E0A:0016 02004E0A:C350 01 00000000:00000000 00:0 0 0\n"
                            "   2: 01004E0A:0016 02004E0A:C351 01 00000000:00000000 00:0 0 0\n"
                            // the same in TIME_WAIT, from another
                            "   3: 01004E0A:0016 03004E0A:C350 06 00000000:00000000 00:0 0 0\n"
                            // outgoing to somebody's port 22
                            "   4: 01004E0A:C350 04004E0A:0016 01 00000000:00000000 00:0 0 0\n";
  EXPECT_EQ(peers(table, 22), std::vector<std::string>{"10.78.0.2"});
  EXPECT_EQ(peers(table, 2222), std::vector<std::string>{});
}

TEST(SshSessions, IPv6AndMappedIPv4) {
  const std::string table =
      std::string(kHeader) +
      // fd77::1 from fd77::2, and a session over IPv4 on a socket of IPv6
      "   0: 000077FD000000000000000001000000:0016 000077FD000000000000000002000000:C350 01 0:0\n"
      "   1: 0000000000000000FFFF000001004E0A:0016 0000000000000000FFFF000002004E0A:C350 01 0:0\n";
  EXPECT_EQ(peers(table, 22), (std::vector<std::string>{"fd77::2", "10.78.0.2"}));
}

TEST(SshSessions, WhatCanNotBeReadIsPassedOver) {
  for (const char* line :
       {"", "   0:", "   0: 01004E0A:0016", "   0: 01004E0A:0016 02004E0A:C350",
        "   0: 01004E0:0016 02004E0A:C350 01", "   0: x1004E0A:0016 y:C350 01",
        "   0: 01004E0A:G016 02004E0A:C350 01", "   0: 01004E0A:0016 :C350 01"}) {
    EXPECT_TRUE(peers(line, 22).empty()) << line;
  }
}

}  // namespace
}  // namespace holdfast::agent
