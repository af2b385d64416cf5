// A link in virtual time: what departs when is arithmetic.
#include "agent/delay/rate_limiter.h"

#include <gtest/gtest.h>

namespace holdfast::agent {
namespace {

constexpr std::uint64_t kStart = 1'000'000'000;
constexpr std::uint64_t kMs = 1'000'000;

// 1 Mbit/s: a packet of 1250 bytes takes 10 ms.
plan::BandwidthParams megabit() {
  plan::BandwidthParams params;
  params.bits_per_second = 1e6;
  params.queue = 5000;
  return params;
}

TEST(RateLimiter, APacketHasPassedWhenItsLastBitHas) {
  RateLimiter limiter(megabit());
  const auto admitted = limiter.admit(0, kStart, 1250);
  EXPECT_EQ(admitted.departure_ns, kStart + 10 * kMs);
  EXPECT_FALSE(admitted.queued);
}

TEST(RateLimiter, OthersWaitForIt) {
  RateLimiter limiter(megabit());
  (void)limiter.admit(0, kStart, 1250);
  const auto second = limiter.admit(0, kStart + kMs, 625);
  EXPECT_EQ(second.departure_ns, kStart + 15 * kMs);
  EXPECT_TRUE(second.queued);
  const auto later = limiter.admit(0, kStart + 20 * kMs, 1250);
  EXPECT_EQ(later.departure_ns, kStart + 30 * kMs);
  EXPECT_FALSE(later.queued);
}

TEST(RateLimiter, WhatFindsTheQueueFullIsDropped) {
  RateLimiter limiter(megabit());
  int passed = 0;
  while (!limiter.admit(0, kStart, 1250).dropped) {
    ++passed;
  }
  EXPECT_EQ(passed, 5);  // up to 4 wait when another comes
  // … and takes no time of the link.
  EXPECT_EQ(limiter.admit(0, kStart + 10 * kMs, 1250).departure_ns, kStart + 60 * kMs);
}

TEST(RateLimiter, ABurstPassesAtOnceAfterQuiet) {
  plan::BandwidthParams params = megabit();
  params.burst = 2500;
  RateLimiter limiter(params);
  EXPECT_EQ(limiter.admit(0, kStart, 1250).departure_ns, kStart);
  const auto second = limiter.admit(0, kStart, 1250);
  EXPECT_EQ(second.departure_ns, kStart);
  EXPECT_FALSE(second.queued);
  EXPECT_EQ(limiter.admit(0, kStart, 1250).departure_ns, kStart + 10 * kMs);
  // In the long run it is the rate.
  std::uint64_t last = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    last = limiter.admit(0, kStart + i * 10 * kMs, 1250).departure_ns;
  }
  EXPECT_EQ(last, kStart + 10'010 * kMs);
}

TEST(RateLimiter, EachConnectionHasALinkWhereAsked) {
  plan::BandwidthParams params = megabit();
  params.per_connection = true;
  RateLimiter limiter(params);
  (void)limiter.admit(1, kStart, 1250);
  EXPECT_EQ(limiter.admit(2, kStart, 1250).departure_ns, kStart + 10 * kMs);
  EXPECT_EQ(limiter.admit(1, kStart, 1250).departure_ns, kStart + 20 * kMs);
  for (std::uint64_t flow = 10; flow < 100'000; ++flow) {  // those that are idle are forgotten
    ASSERT_EQ(limiter.admit(flow, kStart + flow * kMs, 1250).departure_ns,
              kStart + flow * kMs + 10 * kMs);
  }
}

TEST(RateLimiter, ANewRateIsForWhatComesThen) {
  RateLimiter limiter(megabit());
  (void)limiter.admit(0, kStart, 1250);
  plan::BandwidthParams slower = megabit();
  slower.bits_per_second = 5e5;
  limiter.retune(slower);
  EXPECT_EQ(limiter.admit(0, kStart, 1250).departure_ns, kStart + 30 * kMs);
}

TEST(RateLimiter, MeasuresWhatPassedWhileThereWasAQueue) {
  RateLimiter limiter(megabit());
  EXPECT_EQ(limiter.measured_rate(), 0);
  limiter.departed(0, kStart, 1250, false);
  EXPECT_EQ(limiter.measured_rate(), 0);
  limiter.departed(0, kStart + 10 * kMs, 1250, true);
  limiter.departed(0, kStart + 20 * kMs, 1250, true);
  EXPECT_DOUBLE_EQ(limiter.measured_rate(), 1e6);
  limiter.departed(0, kStart + 500 * kMs, 1250, false);  // after quiet
  EXPECT_DOUBLE_EQ(limiter.measured_rate(), 1e6);
}

}  // namespace
}  // namespace holdfast::agent
