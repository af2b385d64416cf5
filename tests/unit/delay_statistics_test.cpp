#include "agent/delay/delay_statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace holdfast::agent {
namespace {

using namespace std::chrono_literals;

TEST(DelayStatistics, NothingRecordedIsAllZero) {
  const DelaySummary summary = DelayStatistics().summary();
  EXPECT_EQ(summary.packets, 0U);
  EXPECT_EQ(summary.mean, 0ns);
  EXPECT_EQ(summary.p99, 0ns);
}

TEST(DelayStatistics, OneValueIsAllOfThem) {
  DelayStatistics statistics;
  statistics.record(12'345'678ns);
  const DelaySummary summary = statistics.summary();
  EXPECT_EQ(summary.packets, 1U);
  for (const Duration value :
       {summary.mean, summary.least, summary.median, summary.p99, summary.most}) {
    EXPECT_EQ(value, 12'345'678ns);
  }
  EXPECT_EQ(summary.standard_deviation, 0ns);
}

TEST(DelayStatistics, QuantilesAreNearTheTruthAtEverySize) {
  for (const double scale : {1.0, 1e3, 1e6, 1e9, 1e12}) {
    DelayStatistics statistics;
    for (int i = 1; i <= 10'000; ++i) {
      statistics.record(Duration(std::llround(i * scale)));
    }
    const DelaySummary summary = statistics.summary();
    EXPECT_NEAR(static_cast<double>(summary.median.count()) / (5000 * scale), 1, 1.0 / 128);
    EXPECT_NEAR(static_cast<double>(summary.p99.count()) / (9900 * scale), 1, 1.0 / 128);
    EXPECT_NEAR(static_cast<double>(summary.mean.count()) / (5000.5 * scale), 1, 1e-4);
    EXPECT_NEAR(static_cast<double>(summary.standard_deviation.count()) / (2886.75 * scale), 1,
                1e-3);
    EXPECT_EQ(summary.least.count(), std::llround(scale));
    EXPECT_EQ(summary.most.count(), std::llround(10'000 * scale));
  }
}

TEST(DelayStatistics, TheExtremesHaveTheirPlace) {
  DelayStatistics statistics;
  statistics.record(Duration(-5));  // a clock that was read too early
  statistics.record(Duration::max());
  EXPECT_EQ(statistics.summary().least, 0ns);
  EXPECT_EQ(statistics.summary().most, Duration::max());
}

}  // namespace
}  // namespace holdfast::agent
