// What the programs do to packets, rule by rule.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

#include "agent/kernel/rule_maps.h"
#include "tests/bpf/packet.h"

namespace holdfast::agent {
namespace {

using test::Bytes;
using test::make_packet;
using test::run_program;

constexpr int kPass = -1;  // TC_ACT_UNSPEC: the next program decides
constexpr int kShot = 2;
constexpr int kRedirect = 7;

std::uint64_t in(std::chrono::nanoseconds delay) {
  return static_cast<std::uint64_t>(
      (std::chrono::steady_clock::now().time_since_epoch() + delay).count());
}

plan::Prefix prefix(const std::string& address, int length) {
  plan::Prefix result;
  if (inet_pton(AF_INET, address.c_str(), &result.address[12]) == 1) {
    result.address[10] = result.address[11] = 0xff;
    result.length = length + 96;
  } else {
    inet_pton(AF_INET6, address.c_str(), result.address.data());
    result.length = length;
  }
  result.written = address;
  return result;
}

RuleSpec rule_of(std::uint32_t kind) {
  RuleSpec rule;
  rule.rule.kind = kind;
  return rule;
}

class Rules : public testing::Test {
 protected:
  void load(std::vector<RuleSpec> rules, std::vector<hf_protected> endpoints = {}) {
    auto table = build_table(rules);
    ASSERT_TRUE(table) << table.error().message;
    auto loaded = kernel::RuleMaps::load(*table, endpoints);
    ASSERT_TRUE(loaded) << loaded.error().message;
    maps_ = std::move(*loaded);
    for (std::size_t i = 0; i < rules.size(); ++i) {
      maps_->activate(i, plan::Direction::both, in(std::chrono::hours(1)));
    }
    maps_->set_lease(in(std::chrono::hours(1)));
  }
  int egress(const Bytes& packet) {
    return run_program(maps_->program_fd(HF_TO, true), packet).verdict;
  }
  int ingress(const Bytes& packet) {
    return run_program(maps_->program_fd(HF_FROM, true), packet).verdict;
  }
  hf_counters counters(std::size_t rule) { return maps_->counters(rule).value_or(hf_counters{}); }

  std::unique_ptr<kernel::RuleMaps> maps_;
};

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
  loss.rule.loss_threshold = __u64{1} << 32;
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

// A right implementation leaves 3 sigma in 0.3 % of all tries: three tries in a row in 2 of 10^8.
TEST_F(Rules, LossIsWithinThreeSigmaOverAMillionPackets) {
  constexpr int kPackets = 1'000'000;
  constexpr int kTries = 3;
  for (const double share : {0.001, 0.01, 0.1, 0.5}) {
    const double sigma = std::sqrt(kPackets * share * (1 - share));
    double off = 0;
    for (int i = 0; i < kTries; ++i) {
      RuleSpec rule = rule_of(HF_LOSS);
      rule.rule.loss_threshold = static_cast<__u64>(std::llround(share * 4294967296.0));
      load({rule});
      (void)run_program(maps_->program_fd(HF_FROM, true),
                        make_packet("10.0.0.1", "10.0.0.9", IPPROTO_UDP, 1, 2), kPackets);
      const hf_counters seen = counters(0);
      ASSERT_EQ(seen.matched_packets, static_cast<__u64>(kPackets));
      off = std::abs(static_cast<double>(seen.dropped_packets) - kPackets * share) / sigma;
      if (off <= 3) {
        break;
      }
    }
    EXPECT_LE(off, 3) << share;
  }
}

RuleSpec chain_of(double to_bad, double to_good, double loss_in_good, double loss_in_bad) {
  constexpr double kRange = 4294967296.0;
  RuleSpec rule = rule_of(HF_LOSS);
  rule.rule.loss_how = HF_LOSS_CHAIN;
  rule.rule.chain_to_bad = static_cast<__u64>(std::llround(to_bad * kRange));
  rule.rule.chain_to_good = static_cast<__u64>(std::llround(to_good * kRange));
  rule.rule.loss_threshold = static_cast<__u64>(std::llround(loss_in_good * kRange));
  rule.rule.chain_loss_in_bad = static_cast<__u64>(std::llround(loss_in_bad * kRange));
  return rule;
}

// With these, 2 % of the rate is 5 standard deviations of a right implementation, and of the mean
// length 6.
TEST_F(Rules, BurstsHaveTheirRateAndLength) {
  constexpr int kPackets = 1'000'000;
  constexpr double kRate = 0.2, kLength = 3;
  load({chain_of(kRate / (1 - kRate) / kLength, 1 / kLength, 0, 1)});
  (void)run_program(maps_->program_fd(HF_FROM, true),
                    make_packet("10.0.0.1", "10.0.0.9", IPPROTO_UDP, 1, 2), kPackets);
  const hf_counters seen = counters(0);
  ASSERT_EQ(seen.matched_packets, static_cast<__u64>(kPackets));
  const auto lost = static_cast<double>(seen.dropped_packets);
  EXPECT_NEAR(lost / kPackets / kRate, 1, 0.02);
  EXPECT_NEAR(lost / static_cast<double>(seen.bursts) / kLength, 1, 0.02);
}

// All four parameters: the bad state is left after 4 packets and loses half, the good one 1 %.
TEST_F(Rules, GilbertElliottHasItsRate) {
  constexpr int kPackets = 1'000'000;
  load({chain_of(0.1, 0.25, 0.01, 0.5)});
  (void)run_program(maps_->program_fd(HF_TO, true),
                    make_packet("10.0.0.9", "10.0.0.1", IPPROTO_UDP, 1, 2), kPackets);
  const double bad = 0.1 / 0.35;
  const double rate = bad * 0.5 + (1 - bad) * 0.01;
  EXPECT_NEAR(static_cast<double>(counters(0).dropped_packets) / kPackets / rate, 1, 0.02);
}

TEST_F(Rules, EachNthPacketIsLostInEachDirection) {
  RuleSpec rule = rule_of(HF_LOSS);
  rule.rule.loss_how = HF_LOSS_EVERY;
  rule.rule.loss_every = 3;
  load({rule});
  const Bytes out = make_packet("10.0.0.9", "10.0.0.1", IPPROTO_UDP, 1, 2);
  const Bytes back = make_packet("10.0.0.1", "10.0.0.9", IPPROTO_UDP, 2, 1);
  for (int i = 1; i <= 9; ++i) {
    EXPECT_EQ(egress(out), i % 3 == 0 ? kRedirect : kPass) << i;
    EXPECT_EQ(ingress(back), i % 3 == 0 ? kShot : kPass) << i;
  }
  EXPECT_EQ(counters(0).dropped_packets, 6U);
  EXPECT_EQ(counters(0).bursts, 6U);
}

// Alone and beside another rule: two ways through the program.
TEST_F(Rules, ALossOfSynsMeetsNothingElse) {
  RuleSpec rule = rule_of(HF_LOSS);
  rule.rule.loss_threshold = __u64{1} << 32;
  rule.rule.syn_only = 1;
  constexpr std::size_t kFlags = 14 + 20 + 13;
  constexpr std::uint8_t kSyn = 0x02, kAck = 0x10;
  for (const bool alone : {true, false}) {
    load(alone ? std::vector{rule} : std::vector{rule, rule_of(HF_NOOP)});
    Bytes packet = make_packet("10.0.0.9", "10.0.0.1", IPPROTO_TCP, 40000, 80);
    packet[kFlags] = kSyn;
    EXPECT_EQ(egress(packet), kRedirect);
    packet[kFlags] = kSyn | kAck;
    EXPECT_EQ(egress(packet), kRedirect);
    packet[kFlags] = kAck;
    EXPECT_EQ(egress(packet), kPass);
    Bytes datagram = make_packet("10.0.0.9", "10.0.0.1", IPPROTO_UDP, 40000, 80, Bytes(16, 0xff));
    EXPECT_EQ(egress(datagram), kPass);
    EXPECT_EQ(counters(0).matched_packets, 2U) << "what is no SYN is not matched";
  }
}

// The share is of connections: one is in or out with all its packets, in both directions and seen
// from both ends.
TEST_F(Rules, AShareOfTheFlowsIsStableForTheirLives) {
  constexpr double kShare = 0.3;
  constexpr unsigned kFlows = 2000;
  RuleSpec rule = rule_of(HF_BLACKHOLE);
  rule.rule.flow_threshold = static_cast<__u64>(kShare * 4294967296.0);
  rule.rule.flow_seed = 1;
  RuleSpec other = rule_of(HF_NOOP);
  other.rule.flow_threshold = rule.rule.flow_threshold;
  other.rule.flow_seed = 2;
  load({rule, other});
  unsigned hit = 0;
  for (unsigned port = 1; port <= kFlows; ++port) {
    const Bytes out = make_packet("10.0.0.9", "10.0.0.1", IPPROTO_TCP, port, 80);
    const Bytes back = make_packet("10.0.0.1", "10.0.0.9", IPPROTO_TCP, 80, port);
    const bool dropped = egress(out) == kRedirect;
    hit += dropped ? 1 : 0;
    ASSERT_EQ(egress(out), dropped ? kRedirect : kPass) << port;
    ASSERT_EQ(ingress(back), dropped ? kShot : kPass) << port;
    ASSERT_EQ(ingress(out), dropped ? kShot : kPass) << port << ", seen by the server";
  }
  const double sigma = std::sqrt(kFlows * kShare * (1 - kShare));
  EXPECT_NEAR(hit, kFlows * kShare, 5 * sigma);
  // Each rule chooses for itself: noop comes first and sees all.
  EXPECT_NEAR(static_cast<double>(counters(1).matched_packets) / 4, kFlows * kShare, 5 * sigma);
}

// The clock is the kernel's, so the test moves the start instead: never before the kernel's own,
// hence in eighths of its age. A look that took so long that the phase may have changed is
// repeated.
TEST_F(Rules, APulseComesAndGoes) {
  const std::chrono::nanoseconds eighth{in(std::chrono::nanoseconds(0)) / 8};
  RuleSpec rule = rule_of(HF_BLACKHOLE);
  rule.rule.pulse_period_ns = static_cast<__u64>(eighth.count()) * 4;
  rule.rule.pulse_active_ns = static_cast<__u64>(eighth.count()) * 2;
  load({rule});
  const Bytes packet = make_packet("10.0.0.9", "10.0.0.1", IPPROTO_UDP, 1, 2);
  EXPECT_EQ(egress(packet), kRedirect) << "it begins active";
  const auto after = [&](int eighths) {
    for (;;) {
      const auto before = std::chrono::steady_clock::now();
      maps_->set_pulse_start(0, in(-eighths * eighth));
      const int verdict = egress(packet);
      if (std::chrono::steady_clock::now() - before < eighth / 2) {
        return verdict;
      }
    }
  };
  EXPECT_EQ(after(1), kRedirect);
  EXPECT_EQ(after(3), kPass);
  EXPECT_EQ(after(5), kRedirect);
  EXPECT_EQ(after(7), kPass);
  const auto matched = counters(0).matched_packets;
  EXPECT_EQ(after(3), kPass);
  EXPECT_EQ(counters(0).matched_packets, matched) << "a dormant rule matches nothing";
  maps_->set_pulse_start(0, in(std::chrono::seconds(10)));
  EXPECT_EQ(egress(packet), kRedirect) << "the coarse clock lags behind the start";
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
