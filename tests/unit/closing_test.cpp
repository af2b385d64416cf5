// Which connections a reset closes.
#include "agent/closing.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

namespace holdfast::agent {
namespace {

std::array<std::uint8_t, 16> address_of(const char* text) {
  std::array<std::uint8_t, 16> address{};
  if (::inet_pton(AF_INET, text, &address[12]) == 1) {
    address[10] = address[11] = 0xff;
  } else {
    EXPECT_EQ(::inet_pton(AF_INET6, text, address.data()), 1);
  }
  return address;
}

plan::Prefix prefix_of(const char* text, int length) {
  return {.address = address_of(text), .length = length, .written = text};
}

class Closing : public testing::Test {
 protected:
  Closing() {
    rule_.match.addresses = {prefix_of("192.0.2.0", 120), prefix_of("2001:db8::", 32)};
    rule_.match.ports = {{443, 443}, {8000, 8100}};
    connection_ = {.local = address_of("198.51.100.7"),
                   .remote = address_of("192.0.2.9"),
                   .local_port = 40000,
                   .remote_port = 443,
                   .ifindex = 3};
  }
  bool closes() const { return is_to_be_closed(connection_, rule_, endpoints_); }

  RuleSpec rule_;
  kernel::TcpConnection connection_;
  std::vector<hf_protected> endpoints_;
};

TEST_F(Closing, WhatItsRuleMatches) {
  EXPECT_TRUE(closes());
  connection_.remote = address_of("2001:db8::1");
  connection_.remote_port = 8042;
  EXPECT_TRUE(closes());
}

TEST_F(Closing, NotOfOtherPeersOrPorts) {
  connection_.remote = address_of("192.0.3.9");
  EXPECT_FALSE(closes());
  connection_.remote = address_of("192.0.2.9");
  connection_.remote_port = 444;
  EXPECT_FALSE(closes());
  connection_.remote_port = 443;
  rule_.match.local_ports = {{22, 22}};
  EXPECT_FALSE(closes());
}

TEST_F(Closing, OnlyWhatThePacketsOfTcpWouldMeet) {
  rule_.match.protocol = plan::Protocol::udp;
  EXPECT_FALSE(closes());
  rule_.match.protocol = plan::Protocol::tcp;
  EXPECT_TRUE(closes());
  rule_.match.connections = plan::Connections::opening;
  EXPECT_FALSE(closes());
  rule_.match.connections = plan::Connections::existing;
  EXPECT_TRUE(closes());
  rule_.match.flows = 0.5;  // which ones those are, only the programs know
  EXPECT_FALSE(closes());
}

TEST_F(Closing, OnlyOnTheInterfacesOfItsTarget) {
  rule_.interfaces = {2};
  EXPECT_FALSE(closes());
  rule_.interfaces = {2, 3};
  EXPECT_TRUE(closes());
}

TEST_F(Closing, NotWhatIsProtected) {
  hf_protected prometheus{};
  prometheus.port = 443;
  prometheus.protocol = IPPROTO_TCP;
  std::ranges::copy(connection_.remote, prometheus.address);
  endpoints_ = {prometheus};
  EXPECT_FALSE(closes());
  endpoints_[0].port = 9090;
  EXPECT_TRUE(closes());

  hf_protected ssh{};
  ssh.port = 443;
  ssh.protocol = IPPROTO_TCP;
  ssh.any_address = ssh.local_only = 1;
  endpoints_ = {ssh};
  EXPECT_TRUE(closes()) << "somebody else's SSH server";
  rule_.match.ports.clear();
  connection_.local_port = 443;
  connection_.remote_port = 50000;
  EXPECT_FALSE(closes()) << "a session on this one";
}

}  // namespace
}  // namespace holdfast::agent
