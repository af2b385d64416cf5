// What the programs do to packets, rule by rule.
#include "tests/bpf/rules_fixture.h"

namespace holdfast::agent {
namespace {

TEST_F(Rules, BlackholeMatchesPeerAddressAndPortInBothDirections) {
  RuleSpec rule = rule_of(HF_BLACKHOLE);
  rule.match.addresses = {prefix("10.0.0.1", 32), prefix("fd00::1", 128)};
  rule.match.ports = {{8000, 8080}};
  rule.match.protocol = plan::Protocol::tcp;
  load({rule});
  EXPECT_EQ(egress(make_packet("10.0.0.9", "10.0.0.1", IPPROTO_TCP, 40000, 8080)), kRedirect);
  EXPECT_EQ(egress(make_packet("fd00::9", "fd00::1", IPPROTO_TCP, 40000, 8000)), kRedirect);
  EXPECT_EQ(ingress(make_packet("10.0.0.1", "10.0.0.9", IPPROTO_TCP, 8080, 40000)), kShot);
  EXPECT_EQ(egress(make_packet("10.0.0.9", "10.0.0.1", IPPROTO_TCP, 40000, 8081)), kPass);
  EXPECT_EQ(egress(make_packet("10.0.0.9", "10.0.0.1", IPPROTO_UDP, 40000, 8080)), kPass);
  EXPECT_EQ(egress(make_packet("10.0.0.9", "10.0.0.2", IPPROTO_TCP, 40000, 8080)), kPass);
  EXPECT_EQ(counters(0).matched_packets, 3U);
  EXPECT_EQ(counters(0).dropped_packets, 3U);
}

TEST_F(Rules, NestedPrefixesKeepTheRulesAroundThem) {
  RuleSpec wide = rule_of(HF_NOOP), narrow = rule_of(HF_NOOP);
  wide.match.addresses = {prefix("10.0.0.0", 8)};
  narrow.match.addresses = {prefix("10.1.0.0", 16)};
  load({wide, narrow});
  EXPECT_EQ(egress(make_packet("10.0.0.9", "10.1.2.3", IPPROTO_UDP, 1, 2)), kPass);
  EXPECT_EQ(egress(make_packet("10.0.0.9", "10.2.2.3", IPPROTO_UDP, 1, 2)), kPass);
  EXPECT_EQ(counters(0).matched_packets, 2U);
  EXPECT_EQ(counters(1).matched_packets, 1U);
}

// IPv4 is mapped into IPv6's space, but no part of what ::/0 means.
TEST_F(Rules, EverythingOfOneFamilyIsNothingOfTheOther) {
  RuleSpec ipv6 = rule_of(HF_NOOP), ipv4 = rule_of(HF_NOOP);
  ipv6.match.addresses = {prefix("::", 0)};
  ipv4.match.addresses = {prefix("0.0.0.0", 0)};
  load({ipv6});
  EXPECT_EQ(egress(make_packet("10.0.0.9", "10.0.0.1", IPPROTO_UDP, 1, 2)), kPass);
  EXPECT_EQ(counters(0).matched_packets, 0U);
  EXPECT_EQ(egress(make_packet("fd00::9", "fd00::1", IPPROTO_UDP, 1, 2)), kPass);
  EXPECT_EQ(counters(0).matched_packets, 1U);
  load({ipv4});
  EXPECT_EQ(egress(make_packet("fd00::9", "fd00::1", IPPROTO_UDP, 1, 2)), kPass);
  EXPECT_EQ(counters(0).matched_packets, 0U);
  EXPECT_EQ(egress(make_packet("10.0.0.9", "10.0.0.1", IPPROTO_UDP, 1, 2)), kPass);
  EXPECT_EQ(counters(0).matched_packets, 1U);
}

TEST_F(Rules, DeadlineAndLeaseEndAFaultInTheKernel) {
  load({rule_of(HF_BLACKHOLE)});
  const Bytes packet = make_packet("10.0.0.9", "10.0.0.1", IPPROTO_UDP, 1, 2);
  EXPECT_EQ(egress(packet), kRedirect);
  maps_->set_lease(in(-std::chrono::seconds(1)));
  EXPECT_EQ(egress(packet), kPass);
  maps_->set_lease(in(std::chrono::hours(1)));
  EXPECT_EQ(egress(packet), kRedirect);
  maps_->activate(0, plan::Direction::both, in(-std::chrono::seconds(1)));
  EXPECT_EQ(egress(packet), kPass);
  maps_->activate(0, plan::Direction::both, in(std::chrono::hours(1)));
  maps_->deactivate(0);
  EXPECT_EQ(egress(packet), kPass);
}

// A lone rule takes a shorter way through the program than several: both must come to the same.
TEST_F(Rules, RulesMetTogetherAreAppliedInTheirOrder) {
  RuleSpec loss = rule_of(HF_LOSS), narrow = rule_of(HF_BLACKHOLE);
  loss.rule.draw_threshold = __u64{1} << 32;
  narrow.match.addresses = {prefix("10.0.0.1", 32)};
  load({loss, rule_of(HF_NOOP), narrow, loss});
  EXPECT_EQ(egress(make_packet("10.0.0.9", "10.0.0.1", IPPROTO_UDP, 1, 2)), kRedirect);
  EXPECT_EQ(counters(1).matched_packets, 1U);
  EXPECT_EQ(counters(2).dropped_packets, 1U);
  EXPECT_EQ(counters(0).matched_packets, 0U) << "the blackhole comes first";
  EXPECT_EQ(egress(make_packet("10.0.0.9", "10.0.0.2", IPPROTO_UDP, 1, 2)), kRedirect);
  EXPECT_EQ(counters(0).dropped_packets, 1U);
  EXPECT_EQ(counters(3).matched_packets, 0U) << "what is lost is not lost twice";
  for (const std::size_t others : {1, 2, 3}) {
    maps_->deactivate(others);
  }
  EXPECT_EQ(egress(make_packet("10.0.0.9", "10.0.0.2", IPPROTO_UDP, 1, 2)), kRedirect);
  EXPECT_EQ(counters(0).dropped_packets, 2U);
}

TEST_F(Rules, ARuleInEveryWordOfTheBitmapIsFoundAlone) {
  std::vector<RuleSpec> rules(HF_MAX_RULES, rule_of(HF_BLACKHOLE));
  for (std::size_t i = 0; i < rules.size(); ++i) {
    rules[i].match.addresses = {prefix("10.0.1." + std::to_string(i), 32)};
  }
  load(rules);
  for (const std::size_t rule : {0, 63, 64, 127, 128, 191, 192, 255}) {
    const std::string address = "10.0.1." + std::to_string(rule);
    EXPECT_EQ(egress(make_packet("10.0.0.9", address, IPPROTO_UDP, 1, 2)), kRedirect) << rule;
    EXPECT_EQ(counters(rule).dropped_packets, 1U) << rule;
  }
}

// The verifier checks only what a table has a use for: here that is everything.
TEST_F(Rules, TheFullestTableLoads) {
  std::vector<RuleSpec> rules;
  for (std::size_t i = 0; i < HF_MAX_RULES; ++i) {
    RuleSpec rule = rule_of(static_cast<hf_kind>(i % HF_KINDS));
    rule.match.addresses = {prefix("10.0.1." + std::to_string(i), 32), prefix("10.1.0.0", 16)};
    rule.match.ports = {{53, 53}};
    rule.match.local_ports = {{1000, 2000}};
    rule.match.protocol = plan::Protocol::udp;
    rule.match.direction = plan::Direction::both;
    rule.interfaces = {1};
    if (rule.rule.kind == HF_DNS) {
      rule.names = {{.name = "example.com", .and_everything_below = true}};
      rule.rule.dns_response = HF_DNS_NXDOMAIN;
    }
    rules.push_back(rule);
  }
  std::vector<hf_protected> endpoints(HF_MAX_PROTECTED);
  for (hf_protected& endpoint : endpoints) {
    endpoint.port = 9090;
    endpoint.address[15] = 1;
  }
  load(rules, endpoints);
}

TEST_F(Rules, ProtectedTrafficIsSparedAndCounted) {
  hf_protected ssh{};
  ssh.port = 22;
  ssh.protocol = IPPROTO_TCP;
  ssh.any_address = 1;
  ssh.local_only = 1;
  load({rule_of(HF_BLACKHOLE)}, {ssh});
  EXPECT_EQ(egress(make_packet("10.0.0.9", "10.0.0.1", IPPROTO_TCP, 22, 40000)), kPass);
  EXPECT_EQ(ingress(make_packet("10.0.0.1", "10.0.0.9", IPPROTO_TCP, 40000, 22)), kPass);
  EXPECT_EQ(egress(make_packet("10.0.0.9", "10.0.0.1", IPPROTO_TCP, 40000, 22)), kRedirect);
  EXPECT_EQ(egress(make_packet("10.0.0.9", "255.255.255.255", IPPROTO_UDP, 68, 67)), kPass);
  EXPECT_EQ(counters(0).spared_packets, 3U);
  EXPECT_EQ(counters(0).dropped_packets, 1U);
}

TEST_F(Rules, WhatNeighboursAreFoundByIsSpared) {
  load({rule_of(HF_BLACKHOLE)});
  const auto icmpv6 = [](unsigned type) {
    return make_packet("fe80::9", "ff02::16", IPPROTO_ICMPV6, type << 8, 0);
  };
  for (const unsigned type : {130U, 131U, 132U, 133U, 134U, 135U, 136U, 137U, 143U}) {
    EXPECT_EQ(egress(icmpv6(type)), kPass) << type;
    EXPECT_EQ(ingress(icmpv6(type)), kPass) << type;
  }
  // As it is sent: behind a router alert (RFC 3810, 5).
  Bytes report = icmpv6(143);
  constexpr std::size_t kNextHeader = 14 + 6;
  constexpr std::size_t kPayload = 14 + 40;
  report[kNextHeader] = 0;
  const Bytes alert = {IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0};
  report.insert(report.begin() + kPayload, alert.begin(), alert.end());
  EXPECT_EQ(egress(report), kPass);
  EXPECT_EQ(egress(make_packet("10.0.0.9", "224.0.0.22", IPPROTO_IGMP, 0x2200, 0)), kPass);
  EXPECT_EQ(counters(0).spared_packets, 20U);
  EXPECT_EQ(egress(icmpv6(128)), kRedirect) << "an echo request";
  EXPECT_EQ(counters(0).dropped_packets, 1U);
}

Bytes query(const std::string& name) {
  Bytes dns = {0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 1};
  for (std::size_t start = 0; start < name.size();) {
    const std::size_t dot = std::min(name.find('.', start), name.size());
    dns.push_back(static_cast<std::uint8_t>(dot - start));
    dns.insert(dns.end(), name.begin() + static_cast<std::ptrdiff_t>(start),
               name.begin() + static_cast<std::ptrdiff_t>(dot));
    start = dot + 1;
  }
  dns.insert(dns.end(), {0, 0, 1, 0, 1});
  dns.insert(dns.end(), {0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0});  // EDNS
  return dns;
}

TEST_F(Rules, DnsAnswersZonesAndExactNamesOnly) {
  RuleSpec zone = rule_of(HF_DNS), exact = rule_of(HF_DNS);
  zone.rule.dns_response = HF_DNS_NXDOMAIN;
  zone.names = {{"shop.test", true}};
  exact.rule.dns_response = HF_DNS_SERVFAIL;
  exact.names = {{"api.example.com", false}};
  load({zone, exact});
  const auto ask = [&](const std::string& name, const std::string& from, const std::string& to) {
    return run_program(maps_->program_fd(HF_TO, true),
                       make_packet(from, to, IPPROTO_UDP, 40000, 53, query(name)));
  };
  for (const std::string name : {"shop.test", "SHOP.tesT", "a.b.Shop.test"}) {
    const auto answered = ask(name, "10.0.0.9", "10.0.0.53");
    const std::size_t dns = 14 + 20 + 8;
    ASSERT_EQ(answered.packet.size(), dns + 12 + name.size() + 2 + 4) << name;
    EXPECT_EQ(answered.packet[dns + 2], 0x81) << "QR and RD";
    EXPECT_EQ(answered.packet[dns + 3], 0x83) << "RA and NXDOMAIN";
    EXPECT_EQ(answered.packet[34], 0) << "from port 53";
    EXPECT_EQ(answered.packet[35], 53);
    EXPECT_EQ(answered.packet[29], 53) << "from the name server's address";
  }
  EXPECT_EQ(counters(0).answered_packets, 3U);
  (void)ask("badshop.test", "10.0.0.9", "10.0.0.53");
  (void)ask("test", "10.0.0.9", "10.0.0.53");
  EXPECT_EQ(counters(0).answered_packets, 3U);
  (void)ask("api.example.com", "10.0.0.9", "10.0.0.53");
  (void)ask("x.api.example.com", "10.0.0.9", "10.0.0.53");
  EXPECT_EQ(counters(1).answered_packets, 1U);
  (void)ask(
      std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + ".shop.test",
      "fd00::9", "fd00::53");
  EXPECT_EQ(counters(0).answered_packets, 4U);
}

TEST_F(Rules, TruncatedPacketsPass) {
  load({rule_of(HF_BLACKHOLE)});
  const Bytes whole = make_packet("10.0.0.9", "10.0.0.1", IPPROTO_UDP, 1, 2);
  for (std::size_t size = 14; size < 34; ++size) {
    EXPECT_EQ(egress(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))) ==
                  kRedirect,
              false)
        << size;
  }
}

}  // namespace
}  // namespace holdfast::agent
