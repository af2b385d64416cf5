#include "agent/delay/delay_sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace holdfast::agent {
namespace {

using namespace std::chrono_literals;
using Distribution = plan::LatencyParams::Distribution;

constexpr std::size_t kSamples = 1'000'000;
constexpr std::uint64_t kSeed = 7;

struct Moments {
  double mean, deviation, correlation;  // of the ranks of neighbours
};

std::vector<double> draw(const plan::LatencyParams& params) {
  DelaySampler sampler(params, kSeed);
  std::vector<double> values(kSamples);
  std::ranges::generate(values, [&] { return static_cast<double>(sampler.next().count()); });
  return values;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Pearson's coefficient of each value and the next.
double autocorrelation(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double own = 0, neighbours = 0;
  for (std::size_t i = 0; i + 1 < values.size(); ++i) {
    own += (values[i] - mean) * (values[i] - mean);
    neighbours += (values[i] - mean) * (values[i + 1] - mean);
  }
  return neighbours / own;
}

std::vector<double> ranks_of(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return values[i]; });
  std::vector<double> ranks(values.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    ranks[order[i]] = static_cast<double>(i);
  }
  return ranks;
}

plan::LatencyParams params_of(Distribution distribution, double correlation = 0) {
  plan::LatencyParams params;
  params.distribution = distribution;
  params.delay = 100ms;
  params.jitter = 10ms;
  params.correlation = correlation;
  if (distribution == Distribution::table) {
    params.table = {80ms, 90ms, 95ms, 150ms};
  }
  return params;
}

class Sampled : public testing::TestWithParam<Distribution> {};

TEST_P(Sampled, HasTheMeanAndTheDeviationThatThePlanExpects) {
  for (const double correlation : {0.0, 0.5}) {
    const plan::LatencyParams params = params_of(GetParam(), correlation);
    const std::vector<double> values = draw(params);
    const double mean = mean_of(values);
    double squares = 0;
    for (const double value : values) {
      squares += (value - mean) * (value - mean);
    }
    const double deviation = std::sqrt(squares / static_cast<double>(values.size()));
    EXPECT_NEAR(mean / static_cast<double>(params.expected_mean().count()), 1, 0.005);
    // The third power of a Pareto number of shape 3 has no mean: its deviation settles slowly.
    EXPECT_NEAR(deviation / static_cast<double>(params.expected_deviation().count()), 1, 0.05);
  }
}

TEST_P(Sampled, NeighboursAreAsCorrelatedAsAskedFor) {
  for (const double correlation : {0.0, 0.3, 0.9}) {
    if (GetParam() == Distribution::paretonormal && correlation > 0) {
      continue;  // two series: see below
    }
    const std::vector<double> values = draw(params_of(GetParam(), correlation));
    EXPECT_NEAR(autocorrelation(ranks_of(values)), correlation, 0.01) << correlation;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Sampled,
                         testing::Values(Distribution::uniform, Distribution::normal,
                                         Distribution::pareto, Distribution::paretonormal,
                                         Distribution::table));

// Of two parts with the same correlation, the sum has about that one, too.
TEST(DelaySampler, ParetonormalIsCorrelated) {
  const std::vector<double> values = draw(params_of(Distribution::paretonormal, 0.5));
  EXPECT_NEAR(autocorrelation(ranks_of(values)), 0.5, 0.05);
}

TEST(DelaySampler, FixedIsFixed) {
  plan::LatencyParams params = params_of(Distribution::fixed);
  DelaySampler sampler(params, kSeed);
  EXPECT_EQ(sampler.next(), 100ms);
  EXPECT_EQ(sampler.next(), 100ms);
}

TEST(DelaySampler, UniformStaysWithinTheJitter) {
  const std::vector<double> values = draw(params_of(Distribution::uniform));
  const auto [least, most] = std::ranges::minmax(values);
  EXPECT_GE(least, 90e6);
  EXPECT_LE(most, 110e6);
  EXPECT_LT(least, 90.1e6);
  EXPECT_GT(most, 109.9e6);
}

TEST(DelaySampler, ATableIsNotLeft) {
  const std::vector<double> values = draw(params_of(Distribution::table));
  const auto [least, most] = std::ranges::minmax(values);
  EXPECT_GE(least, 80e6);
  EXPECT_LE(most, 150e6);
  // A third of the values between each two neighbours.
  const auto below = std::ranges::count_if(values, [](double value) { return value < 95e6; });
  EXPECT_NEAR(static_cast<double>(below) / static_cast<double>(kSamples), 2.0 / 3, 0.005);
}

TEST(DelaySampler, NothingIsNegative) {
  plan::LatencyParams params = params_of(Distribution::normal);
  params.jitter = params.delay;
  EXPECT_GE(std::ranges::min(draw(params)), 0);
}

}  // namespace
}  // namespace holdfast::agent
