// Bandwidth, duplicate, reorder, corrupt and schedules from text.
#include <gtest/gtest.h>

#include "tests/unit/plan_parsing.h"

namespace holdfast::plan {
namespace {

using namespace std::chrono_literals;

ParseOutcome parse_fault(const std::string& fault, const std::string& parameters,
                         const std::string& match = "{}") {
  return parse("    - {name: a, fault: " + fault + ", duration: 60s, target: {netns: e}, match: " +
               match + ", " + fault + ": {" + parameters + "}}\n");
}

std::string what_is_said(const ParseOutcome& outcome) {
  return outcome.diagnostics.empty() ? "" : outcome.diagnostics.front().text();
}

TEST(PlanShaping, SaysWhatItIs) {
  struct Shape {
    const char *fault, *parameters, *words;
  };
  const Shape shapes[] = {
      {"bandwidth", "rate: 10mbit", "bandwidth 10mbit, 312.5kB may wait"},
      {"bandwidth", "rate: 10Mbit, queue: 100ms", "bandwidth 10mbit, 125kB may wait"},
      {"bandwidth", "rate: 64kbit", "bandwidth 64kbit, 16.65kB may wait"},
      {"bandwidth", "rate: 1.5gbit, burst: 64KiB, queue: 1MiB, per: connection",
       "bandwidth 1.5gbit for each connection, 1MiB may wait"},
      {"duplicate", "percent: 20%", "duplicate 20%"},
      {"duplicate", "every: 4", "duplicate of one packet in 4"},
      {"reorder", "percent: 10%, correlation: 50%, delay: 5ms",
       "reorder 10% with correlation 50%, late by 5ms"},
      {"corrupt", "percent: 1%", "corrupt 1%, checksum left wrong"},
      {"corrupt", "percent: 1%, checksum: mended", "corrupt 1%, checksum mended"},
  };
  for (const Shape& shape : shapes) {
    const auto outcome = parse_fault(shape.fault, shape.parameters);
    ASSERT_TRUE(outcome.experiment) << what_is_said(outcome);
    EXPECT_EQ(describe_fault(outcome.experiment->method[0]), shape.words);
  }
}

TEST(PlanShaping, ALinkInNumbers) {
  const auto outcome = parse_fault("bandwidth", "rate: 10mbit, burst: 64KiB, queue: 20ms");
  ASSERT_TRUE(outcome.experiment) << what_is_said(outcome);
  const BandwidthParams& params = outcome.experiment->method[0].bandwidth;
  EXPECT_EQ(params.bits_per_second, 1e7);
  EXPECT_EQ(params.burst, 65536U);
  EXPECT_EQ(params.queue, 25'000U);
  EXPECT_FALSE(params.per_connection);
}

TEST(PlanShaping, RefusesWhatCanNotBe) {
  struct Refused {
    const char *fault, *parameters, *words;
  };
  const Refused refused[] = {
      {"bandwidth", "burst: 1KiB", "rate"},
      {"bandwidth", "rate: 0mbit", "1kbit to 100gbit"},
      {"bandwidth", "rate: -1mbit", "not a rate"},
      {"bandwidth", "rate: 10", "a number with a unit"},
      {"bandwidth", "rate: 10mbps", "not a rate"},
      {"bandwidth", "rate: 200gbit", "1kbit to 100gbit"},
      {"bandwidth", "rate: 1mbit, queue: 10", "not a number of bytes"},
      {"bandwidth", "rate: 1mbit, queue: 2GiB", "at most 1GiB"},
      {"bandwidth", "rate: 1mbit, queue: 2m", "1ms to 1m"},
      {"bandwidth", "rate: 1mbit, per: flow", "target, connection"},
      {"duplicate", "percent: 101%", "0% to 100%"},
      {"duplicate", "", "exactly one of percent, every"},
      {"duplicate", "percent: 1%, every: 2", "exactly one of percent, every"},
      {"duplicate", "gilbertElliott: {goodToBad: 1%, badToGood: 1%}", "unknown key"},
      {"reorder", "every: 5", "how late they are"},
      {"reorder", "delay: 5ms", "exactly one of percent, every"},
      {"reorder", "every: 0, delay: 5ms", "1 to 1000000000"},
      {"corrupt", "percent: 1%, checksum: right", "wrong, mended"},
      {"corrupt", "percent: 0%", "above 0%"},
  };
  for (const Refused& one : refused) {
    const auto outcome = parse_fault(one.fault, one.parameters);
    EXPECT_FALSE(outcome.experiment) << one.fault << " " << one.parameters;
    EXPECT_TRUE(says(outcome, one.words))
        << one.fault << " " << one.parameters << ": " << what_is_said(outcome);
  }
}

TEST(Schedule, GoesFromOneValueToAnotherInItsSteps) {
  const auto outcome = parse_fault("loss", "percent: {from: 0%, to: 20%, over: 40s, steps: 4}");
  ASSERT_TRUE(outcome.experiment) << what_is_said(outcome);
  const Action& action = outcome.experiment->method[0];
  ASSERT_EQ(action.schedule.size(), 4U);
  EXPECT_EQ(action.draw.percent.share, 0);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(action.schedule[i].after, 10s * (i + 1));
    EXPECT_NEAR(action.schedule[i].parameters.draw.percent.share, 0.05 * static_cast<double>(i + 1),
                1e-12);
  }
  EXPECT_EQ(action.steps_until(0s), 0U);
  EXPECT_EQ(action.steps_until(10s - 1ns), 0U);
  EXPECT_EQ(action.steps_until(10s), 1U);
  EXPECT_EQ(action.steps_until(59s), 4U);
  EXPECT_NEAR(action.at_step(2).draw.percent.share, 0.1, 1e-12);
  // 0, 5, 10, 15 % for 10 s each, and 20 % for 20 s.
  EXPECT_NEAR(action.mean_of([](const FaultParameters& now) { return now.draw.expected_share(); }),
              0.7 / 6, 1e-12);
  EXPECT_EQ(describe_fault(action), "loss 0%, becoming loss 20% over 40s");
}

TEST(Schedule, OfSeveralNumbersChangesEachInItsTime) {
  const auto outcome =
      parse_fault("latency", "delay: {from: 0ms, to: 100ms, over: 10s}, jitter: 0ms", "{}");
  EXPECT_TRUE(says(outcome, "out of range")) << "a value alone may not be nothing";
  const auto both = parse_fault(
      "latency",
      "delay: {from: 20ms, to: 100ms, over: 8s, steps: 8}, jitter: {from: 1ms, to: 5ms, over: 4s, "
      "steps: 2}, distribution: normal");
  ASSERT_TRUE(both.experiment) << what_is_said(both);
  const Action& action = both.experiment->method[0];
  EXPECT_EQ(action.schedule.size(), 8U);  // those of the jitter fall on those of the delay
  EXPECT_EQ(action.schedule[1].parameters.latency.jitter, 3ms);
  EXPECT_EQ(action.schedule[1].parameters.latency.delay, 40ms);
  EXPECT_EQ(action.schedule[7].parameters.latency.jitter, 5ms);
}

TEST(Schedule, OfTheConnectionsThatAreHit) {
  const auto outcome =
      parse_fault("loss", "percent: 50%", "{flows: {from: 10%, to: 100%, over: 30s, steps: 3}}");
  ASSERT_TRUE(outcome.experiment) << what_is_said(outcome);
  const Action& action = outcome.experiment->method[0];
  EXPECT_NEAR(action.match.flows, 0.1, 1e-12);
  EXPECT_NEAR(action.at_step(1).match.flows, 0.4, 1e-12);
  EXPECT_NEAR(action.at_step(3).match.flows, 1, 1e-12);
  EXPECT_EQ(describe_fault(action), "loss 50%, on 100% of the connections in the end over 30s");
}

TEST(Schedule, OfAnyNumber) {
  const std::pair<const char*, const char*> schedules[] = {
      {"bandwidth", "rate: {from: 100mbit, to: 1mbit, over: 30s}"},
      {"bandwidth", "rate: 1mbit, queue: {from: 100KiB, to: 10KiB, over: 30s}"},
      {"loss", "every: {from: 100, to: 2, over: 30s}"},
      {"loss", "percent: 10%, burstLength: {from: 2, to: 20, over: 30s}"},
      {"loss", "percent: {from: 0%, to: 10%, over: 30s}, correlation: 20%"},
      {"loss", "gilbertElliott: {goodToBad: {from: 0%, to: 5%, over: 10s}, badToGood: 20%}"},
      {"reorder", "percent: 10%, delay: {from: 1ms, to: 50ms, over: 10s}"},
      {"corrupt", "percent: {from: 5%, to: 0%, over: 10s}"},
      {"duplicate", "percent: {from: 0%, to: 100%, over: 100ms}"},
      {"latency", "delay: 10ms, jitter: 5ms, correlation: {from: 10%, to: 90%, over: 10s}"},
  };
  for (const auto& [fault, parameters] : schedules) {
    const auto outcome = parse_fault(fault, parameters);
    ASSERT_TRUE(outcome.experiment) << parameters << ": " << what_is_said(outcome);
    EXPECT_FALSE(outcome.experiment->method[0].schedule.empty()) << parameters;
    EXPECT_LE(outcome.experiment->method[0].schedule.size(), 100U) << parameters;
  }
}

TEST(Schedule, RefusesWhatCanNotBe) {
  const std::pair<const char*, const char*> refused[] = {
      {"delay: {from: 1ms, to: 2ms}", "how long it takes"},
      {"delay: {from: 1ms, over: 2s}", "what it ends with"},
      {"delay: {from: 1ms, to: 1ms, over: 2s}", "the same"},
      {"delay: {from: 1ms, to: 2ms, over: 2h}", "100ms to 1m"},
      {"delay: {from: 1ms, to: 2ms, over: 2s, steps: 0}", "1 to 100"},
      {"delay: {from: 1ms, to: 2ms, over: 2s, step: 2}", "did you mean \"steps\"?"},
      {"delay: {from: 1ms, to: 20m, over: 2s}", "1us to 10m"},
      {"delay: {from: 1ms, to: 2ms, over: {from: 1s, to: 2s, over: 3s}}", "a duration is wanted"},
      // Right at the start, and wrong at a later step.
      {"delay: {from: 20ms, to: 1ms, over: 2s}, jitter: 10ms", "more jitter than delay"},
  };
  for (const auto& [parameters, words] : refused) {
    const auto outcome = parse_fault("latency", parameters);
    EXPECT_FALSE(outcome.experiment) << parameters;
    EXPECT_TRUE(says(outcome, words)) << parameters << ": " << what_is_said(outcome);
  }
  const auto elsewhere = parse(
      "    - {name: a, fault: noop, duration: {from: 1s, to: 2s, over: 1s}, target: {netns: e}}\n");
  EXPECT_TRUE(says(elsewhere, "a duration is wanted here"));
}

}  // namespace
}  // namespace holdfast::plan
