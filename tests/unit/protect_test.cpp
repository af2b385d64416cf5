// What a plan may not hit.
#include "agent/protect.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

namespace holdfast::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr std::uint64_t kHere = 10, kElsewhere = 20;

plan::Prefix prefix_of(const std::string& text, int length) {
  plan::Prefix prefix{.address = {}, .length = length, .written = text};
  if (text.find(':') != std::string::npos) {
    EXPECT_EQ(::inet_pton(AF_INET6, text.c_str(), prefix.address.data()), 1) << text;
  } else {
    prefix.address[10] = prefix.address[11] = 0xff;
    EXPECT_EQ(::inet_pton(AF_INET, text.c_str(), &prefix.address[12]), 1) << text;
    prefix.length += 96;
  }
  return prefix;
}

ProtectedEndpoint peer(const std::string& address, std::uint16_t port) {
  ProtectedEndpoint one{.endpoint = {}, .netns = kHere, .why = address, .clients = {}};
  const plan::Prefix prefix = prefix_of(address, 0);
  std::copy(prefix.address.begin(), prefix.address.end(), one.endpoint.address);
  one.endpoint.port = port;
  one.endpoint.protocol = IPPROTO_TCP;
  return one;
}

ProtectedEndpoint ssh() {
  ProtectedEndpoint one{.endpoint = {}, .netns = kHere, .why = "SSH", .clients = {}};
  one.endpoint.port = 22;
  one.endpoint.protocol = IPPROTO_TCP;
  one.endpoint.any_address = one.endpoint.local_only = 1;
  return one;
}

RuleSpec rule(std::vector<plan::Prefix> addresses = {}, std::vector<plan::PortRange> ports = {},
              std::vector<plan::PortRange> local_ports = {},
              plan::Protocol protocol = plan::Protocol::any) {
  RuleSpec spec;
  spec.match.addresses = std::move(addresses);
  spec.match.ports = std::move(ports);
  spec.match.local_ports = std::move(local_ports);
  spec.match.protocol = protocol;
  return spec;
}

bool refused(const RuleSpec& spec, const ProtectedEndpoint& endpoint) {
  const auto overlap = find_overlap(spec, {endpoint}, kHere);
  return overlap && overlap->certain;
}

TEST(Protect, APeerByItsAddressAndPort) {
  const ProtectedEndpoint prometheus = peer("10.0.0.9", 9090);
  EXPECT_TRUE(refused(rule(), prometheus));
  EXPECT_TRUE(refused(rule({prefix_of("10.0.0.9", 32)}), prometheus));
  EXPECT_TRUE(refused(rule({prefix_of("10.0.0.0", 8)}), prometheus));
  EXPECT_TRUE(refused(rule({prefix_of("0.0.0.0", 0)}), prometheus));
  EXPECT_TRUE(refused(rule({prefix_of("10.0.0.9", 32)}, {{9000, 9100}}), prometheus));
  EXPECT_FALSE(refused(rule({prefix_of("10.0.0.8", 32)}), prometheus));
  EXPECT_FALSE(refused(rule({prefix_of("10.0.0.9", 32)}, {{443, 443}}), prometheus));
  EXPECT_FALSE(refused(rule({}, {{9091, 9100}}), prometheus));
}

TEST(Protect, FamiliesAreApart) {
  EXPECT_FALSE(refused(rule({prefix_of("::", 0)}), peer("10.0.0.9", 9090)));
  EXPECT_FALSE(refused(rule({prefix_of("0.0.0.0", 0)}), peer("2001:db8::9", 9090)));
  EXPECT_TRUE(refused(rule({prefix_of("::", 0)}), peer("2001:db8::9", 9090)));
  EXPECT_TRUE(refused(rule({prefix_of("2001:db8::", 32)}), peer("2001:db8::9", 9090)));
}

TEST(Protect, OtherProtocolsDoNotMeet) {
  EXPECT_FALSE(refused(rule({}, {}, {}, plan::Protocol::udp), peer("10.0.0.9", 9090)));
  EXPECT_FALSE(refused(rule({}, {}, {}, plan::Protocol::icmp), peer("10.0.0.9", 9090)));
  EXPECT_TRUE(refused(rule({}, {}, {}, plan::Protocol::tcp), peer("10.0.0.9", 9090)));
}

// The agent's own port towards the peer is one of the ephemeral ones.
TEST(Protect, OwnPorts) {
  EXPECT_FALSE(refused(rule({}, {}, {{80, 80}}), peer("10.0.0.9", 9090)));
  EXPECT_TRUE(refused(rule({}, {}, {{40000, 40000}}), peer("10.0.0.9", 9090)));
  // Over loopback the server's side of the connection is seen here as well.
  EXPECT_TRUE(refused(rule({}, {}, {{9090, 9090}}), peer("127.0.0.1", 9090)));
  EXPECT_TRUE(refused(rule({}, {}, {{9090, 9090}}), peer("::1", 9090)));
  EXPECT_TRUE(
      refused(rule({prefix_of("127.0.0.1", 32)}, {}, {{9090, 9090}}), peer("127.0.0.9", 9090)));
  EXPECT_FALSE(refused(rule({prefix_of("10.0.0.9", 32)}), peer("127.0.0.1", 9090)))
      << "nobody from outside talks to a server on loopback";
}

TEST(Protect, PortZeroIsEveryPort) {
  EXPECT_TRUE(refused(rule({}, {{443, 443}}), peer("10.0.0.9", 0)));
  EXPECT_TRUE(refused(rule({prefix_of("10.0.0.9", 32)}), peer("10.0.0.9", 0)));
}

TEST(Protect, SshIsTheTargetsOwnPort) {
  EXPECT_TRUE(refused(rule(), ssh()));
  EXPECT_TRUE(refused(rule({}, {}, {{22, 22}}), ssh()));
  EXPECT_TRUE(refused(rule({prefix_of("0.0.0.0", 0)}), ssh()));
  EXPECT_FALSE(refused(rule({}, {{22, 22}}), ssh())) << "somebody else's SSH";
  EXPECT_FALSE(refused(rule({}, {}, {{80, 80}}), ssh()));
}

TEST(Protect, AMatchOfAddressesIsRefusedWhereSomebodyIsLoggedInFromThere) {
  ProtectedEndpoint server = ssh();
  const RuleSpec net = rule({prefix_of("10.0.0.0", 8)});
  EXPECT_FALSE(refused(net, server));
  EXPECT_TRUE(find_overlap(net, {server}, kHere)) << "spared all the same, which is worth a note";
  server.clients = {prefix_of("10.1.1.1", 32)};
  EXPECT_TRUE(refused(net, server));
  server.clients = {prefix_of("11.1.1.1", 32)};
  EXPECT_FALSE(refused(net, server));
  // An IPv6 network is not everybody, however short its prefix is beside a mapped IPv4 one.
  EXPECT_FALSE(refused(rule({prefix_of("fd00::", 64)}), server));
  EXPECT_TRUE(refused(rule({prefix_of("::", 0)}), server));
}

TEST(Protect, TheWorstOverlapIsTheOneThatIsTold) {
  const RuleSpec net = rule({prefix_of("10.0.0.0", 8)});
  const std::vector<ProtectedEndpoint> endpoints = {ssh(), peer("10.0.0.9", 9090)};
  const auto overlap = find_overlap(net, endpoints, kHere);
  ASSERT_TRUE(overlap);
  EXPECT_TRUE(overlap->certain);
  EXPECT_EQ(overlap->endpoint->why, "10.0.0.9");
}

TEST(Protect, OtherNamespacesAreNotRefused) {
  EXPECT_FALSE(find_overlap(rule(), {peer("10.0.0.9", 9090), ssh()}, kElsewhere));
}

TEST(Protect, AddressesThatMeanTheSameEverywhereAreSparedEverywhere) {
  const std::vector<ProtectedEndpoint> endpoints = {peer("10.0.0.9", 9090), peer("127.0.0.1", 9090),
                                                    peer("::1", 9090), ssh()};
  EXPECT_THAT(for_namespace(endpoints, kHere), SizeIs(4));
  const auto elsewhere = for_namespace(endpoints, kElsewhere);
  ASSERT_THAT(elsewhere, SizeIs(1));
  EXPECT_EQ(elsewhere[0].address[12], 10);
}

TEST(Protect, PeersAreResolvedAndSshIsAlwaysThere) {
  const auto endpoints = protected_endpoints(
      {{.host = "[::1]", .port = 9090, .netns = "", .why = "the plan's Prometheus"}}, kHere);
  ASSERT_TRUE(endpoints) << endpoints.error().message;
  ASSERT_GE(endpoints->size(), 2U);
  EXPECT_THAT(endpoints->front().why, HasSubstr("the plan's Prometheus (::1 port 9090)"));
  EXPECT_EQ(endpoints->front().netns, kHere);
  EXPECT_TRUE(std::ranges::any_of(
      *endpoints, [](const ProtectedEndpoint& one) { return one.endpoint.port == 22; }));
  const auto absent = protected_endpoints(
      {{.host = "10.0.0.1", .port = 1, .netns = "no-such-namespace", .why = "x"}}, kHere);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace holdfast::agent
