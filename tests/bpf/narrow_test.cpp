// What restricts a rule beside its bitmaps.
#include <cmath>

#include "tests/bpf/rules_fixture.h"

namespace holdfast::agent {
namespace {

// Alone and beside another rule: two ways through the program.
TEST_F(Rules, ALossOfSynsMeetsNothingElse) {
  RuleSpec rule = rule_of(HF_LOSS);
  rule.rule.draw_threshold = __u64{1} << 32;
  rule.rule.connections = HF_NEW_CONNECTIONS;
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

// Whose SYN was seen since is new, in both directions.
TEST_F(Rules, ExistingConnectionsAreThoseWhoseSynWasNotSeen) {
  RuleSpec rule = rule_of(HF_BLACKHOLE);
  rule.rule.connections = HF_EXISTING_CONNECTIONS;
  constexpr std::size_t kFlags = 14 + 20 + 13;
  constexpr std::uint8_t kSyn = 0x02, kAck = 0x10;
  for (const bool alone : {true, false}) {
    load(alone ? std::vector{rule} : std::vector{rule, rule_of(HF_NOOP)});
    const auto out = [](unsigned port, std::uint8_t flags) {
      Bytes packet = make_packet("10.0.0.9", "10.0.0.1", IPPROTO_TCP, port, 80);
      packet[kFlags] = flags;
      return packet;
    };
    Bytes back = make_packet("10.0.0.1", "10.0.0.9", IPPROTO_TCP, 80, 41000);
    back[kFlags] = kAck;
    EXPECT_EQ(egress(out(40000, kAck)), kRedirect);
    EXPECT_EQ(ingress(back), kShot);
    EXPECT_EQ(egress(out(41000, kSyn)), kPass);
    EXPECT_EQ(egress(out(41000, kAck)), kPass);
    EXPECT_EQ(ingress(back), kPass);
    EXPECT_EQ(egress(out(40000, kAck)), kRedirect) << "that of another";
    EXPECT_EQ(counters(0).matched_packets, 3U);
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

}  // namespace
}  // namespace holdfast::agent
