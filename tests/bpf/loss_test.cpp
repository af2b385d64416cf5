// What is lost, and how much of it.
#include <cmath>

#include "tests/bpf/rules_fixture.h"

namespace holdfast::agent {
namespace {

// A right implementation leaves 3 sigma in 0.3 % of all tries: three tries in a row in 2 of 10^8.
TEST_F(Rules, LossIsWithinThreeSigmaOverAMillionPackets) {
  constexpr int kPackets = 1'000'000;
  constexpr int kTries = 3;
  for (const double share : {0.001, 0.01, 0.1, 0.5}) {
    const double sigma = std::sqrt(kPackets * share * (1 - share));
    double off = 0;
    for (int i = 0; i < kTries; ++i) {
      RuleSpec rule = rule_of(HF_LOSS);
      rule.rule.draw_threshold = static_cast<__u64>(std::llround(share * 4294967296.0));
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

RuleSpec chain_of(double to_bad, double to_good, double hit_in_good, double hit_in_bad) {
  constexpr double kRange = 4294967296.0;
  RuleSpec rule = rule_of(HF_LOSS);
  rule.rule.draw_how = HF_DRAW_CHAIN;
  rule.rule.chain_to_bad = static_cast<__u64>(std::llround(to_bad * kRange));
  rule.rule.chain_to_good = static_cast<__u64>(std::llround(to_good * kRange));
  rule.rule.draw_threshold = static_cast<__u64>(std::llround(hit_in_good * kRange));
  rule.rule.chain_threshold_in_bad = static_cast<__u64>(std::llround(hit_in_bad * kRange));
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
  rule.rule.draw_how = HF_DRAW_EVERY;
  rule.rule.draw_every = 3;
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

}  // namespace
}  // namespace holdfast::agent
