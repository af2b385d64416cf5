// Latencies from text: what is accepted, and what is said about what is not.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/plan_parsing.h"

namespace holdfast::plan {
namespace {

using namespace std::chrono_literals;
using Distribution = LatencyParams::Distribution;

ParseOutcome parse_latency(const std::string& parameters, const std::string& match = "{}") {
  return parse("    - {name: a, fault: latency, duration: 1s, target: {netns: e}, match: " + match +
               ", latency: {" + parameters + "}}\n");
}

TEST(PlanLatency, SaysWhatItIs) {
  const std::pair<const char*, const char*> shapes[] = {
      {"delay: 100ms", "latency 100ms"},
      {"delay: 0.5ms", "latency 500us"},
      {"delay: 100ms, jitter: 10ms", "latency 100ms ± 10ms uniform"},
      {"delay: 1m, jitter: 10s, distribution: normal", "latency 1m ± 10s normal"},
      {"delay: 20ms, jitter: 5ms, distribution: pareto, correlation: 25%",
       "latency 20ms ± 5ms pareto with correlation 25%"},
      {"delay: 20ms, of: roundTrip", "latency 20ms"},
      {"table: [3ms, 1ms, 2ms]", "latency drawn from 3 measured delays, 1ms to 3ms"},
  };
  for (const auto& [parameters, words] : shapes) {
    const auto outcome = parse_latency(parameters);
    ASSERT_TRUE(outcome.experiment) << outcome.diagnostics.front().text();
    EXPECT_EQ(describe_fault(outcome.experiment->method[0]), words);
  }
}

TEST(PlanLatency, ARoundTripIsHalvedWhereBothWaysAreDelayed) {
  const std::string both = "{direction: both}";
  const auto each = parse_latency("delay: 100ms, jitter: 10ms, of: direction", both);
  ASSERT_TRUE(each.experiment);
  EXPECT_EQ(each.experiment->method[0].latency.delay, 100ms);
  EXPECT_EQ(describe_fault(each.experiment->method[0]), "latency 100ms ± 10ms uniform each way");
  const auto trip = parse_latency("delay: 100ms, jitter: 10ms, of: roundTrip", both);
  ASSERT_TRUE(trip.experiment);
  const LatencyParams& half = trip.experiment->method[0].latency;
  EXPECT_EQ(half.delay, 50ms);
  // Two independent halves deviate together as much as one whole.
  EXPECT_NEAR(static_cast<double>(half.jitter.count()), 10e6 / std::sqrt(2), 1);
  EXPECT_EQ(describe_fault(trip.experiment->method[0]),
            "latency 100ms ± 10ms uniform a round trip (50ms each way)");
  EXPECT_EQ(parse_latency("delay: 100ms, of: roundTrip", "{direction: from}")
                .experiment->method[0]
                .latency.delay,
            100ms);
}

TEST(PlanLatency, PerConnectionDelaysWhatOpensOne) {
  const auto outcome = parse_latency("delay: 1s, per: connection");
  ASSERT_TRUE(outcome.experiment);
  EXPECT_EQ(outcome.experiment->method[0].match.connections, Connections::opening);
  EXPECT_EQ(outcome.experiment->method[0].match.protocol, Protocol::tcp);
}

TEST(PlanLatency, ATableIsSortedAndHasMoments) {
  const auto outcome = parse_latency("table: [30ms, 10ms], correlation: 50%, reorder: true");
  ASSERT_TRUE(outcome.experiment) << outcome.diagnostics.front().text();
  const LatencyParams& params = outcome.experiment->method[0].latency;
  EXPECT_EQ(params.distribution, Distribution::table);
  EXPECT_EQ(params.table.front(), 10ms);
  EXPECT_EQ(params.expected_mean(), 20ms);
  EXPECT_NEAR(static_cast<double>(params.expected_deviation().count()), 20e6 / std::sqrt(12), 1);
  EXPECT_TRUE(params.reorder);
}

TEST(PlanLatency, RefusesWhatCanNotBe) {
  const std::pair<const char*, const char*> refused[] = {
      {"", "latency.delay: "},
      {"delay: 10", "the unit is missing"},
      {"delay: -10ms", "it is negative"},
      {"delay: 0ms", "1us to 10m"},
      {"delay: 1h", "1us to 10m"},
      {"delay: 10ms, jitter: 11ms", "at most the delay, 10ms"},
      {"delay: 10ms, jitter: 11ms, distribution: normal", "at most the delay, 10ms"},
      {"delay: 10ms, distribution: normal", "jitter beside it"},
      {"delay: 10ms, jitter: 1ms, distribution: gauss", "uniform, normal, pareto, paretonormal"},
      {"delay: 10ms, correlation: 10%", "with jitter or a table"},
      {"delay: 10ms, jitter: 1ms, correlation: 100%", "no delay would ever differ"},
      {"delay: 10ms, jitter: 1ms, correlation: 101%", "0% to 100%"},
      {"delay: 10ms, per: flow", "packet, connection"},
      {"delay: 10ms, of: trip", "direction, roundTrip"},
      {"table: [1ms]", "2 to 100000 measured delays"},
      {"table: [1ms, 2]", "the unit is missing"},
      {"table: [1ms, 2ms], delay: 3ms", "the table says all of that"},
      {"dealy: 3ms", "did you mean \"delay\"?"},
  };
  for (const auto& [parameters, words] : refused) {
    const auto outcome = parse_latency(parameters);
    EXPECT_FALSE(outcome.experiment) << parameters;
    EXPECT_TRUE(says(outcome, words))
        << parameters << ": "
        << (outcome.diagnostics.empty() ? "" : outcome.diagnostics.front().text());
  }
  const std::pair<const char*, const char*> both_ways[] = {
      {"delay: 10ms", "of each direction or of a round trip?"},
      {"table: [1ms, 2ms], of: roundTrip", "in halves"},
      {"delay: 10ms, jitter: 9ms, of: roundTrip", "more jitter than half of it can have"},
  };
  for (const auto& [parameters, words] : both_ways) {
    EXPECT_TRUE(says(parse_latency(parameters, "{direction: both}"), words)) << parameters;
  }
  EXPECT_TRUE(says(parse_latency("delay: 1s, per: connection", "{protocol: udp}"),
                   "udp opens no connections"));
}

}  // namespace
}  // namespace holdfast::plan
