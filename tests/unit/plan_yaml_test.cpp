// Plans from text: what is accepted, and what is said about what is not.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/plan_parsing.h"

namespace holdfast::plan {
namespace {

TEST(PlanYaml, ReadsAnAction) {
  const auto outcome = parse(
      "    - {name: cut, fault: blackhole, duration: 1m30s, target: {netns: edge}, "
      "match: {addresses: [10.0.0.1, fd00::/64], ports: [443, \"8000-8100\"], protocol: tcp, "
      "direction: both}}\n");
  ASSERT_TRUE(outcome.experiment) << outcome.diagnostics.front().text();
  const Action& action = outcome.experiment->method.front();
  EXPECT_EQ(action.duration, std::chrono::seconds(90));
  EXPECT_EQ(action.match.addresses[0].length, 128);
  EXPECT_EQ(action.match.addresses[1].length, 64);
  EXPECT_EQ(action.match.ports[1].last, 8100);
  EXPECT_EQ(action.match.direction, Direction::both);
}

TEST(PlanYaml, FindsSeveralMistakesWithTheirPlaces) {
  const auto outcome = parse(
      "    - {name: a, fault: blackhol, duration: 10, target: {netns: e}}\n"
      "    - {name: a, fault: loss, duration: 10s, target: {netns: e}, loss: {percent: 10}, extra: "
      "1}\n");
  EXPECT_FALSE(outcome.experiment);
  EXPECT_TRUE(says(outcome, "plan.yaml:10:24: spec.method[0].fault: "))
      << outcome.diagnostics.front().text();
  EXPECT_TRUE(says(outcome, "did you mean \"blackhole\"?"));
  EXPECT_TRUE(says(outcome, "the unit is missing"));
  EXPECT_TRUE(says(outcome, "two actions of one name"));
  EXPECT_TRUE(says(outcome, "the percent sign is missing"));
  EXPECT_TRUE(says(outcome, "spec.method[1].extra: unknown key"));
}

TEST(PlanYaml, RefusesWhatWouldHarmTheReader) {
  std::string bomb = "a: &a [x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    const std::string before(1, static_cast<char>(c - 1));
    bomb += std::string(1, c) + ": &" + c + " [*" + before + ", *" + before + ", *" + before +
            ", *" + before + "]\n";
  }
  EXPECT_TRUE(says(parse_plan(bomb, "p"), "aliases"));
  EXPECT_TRUE(says(parse_plan(std::string(10'000'000, 'x'), "p"), "too large"));
  EXPECT_TRUE(says(parse_plan(std::string(100'000, '['), "p"), "nested too deeply"));
  EXPECT_TRUE(says(parse_plan(std::string("a\0b", 3), "p"), "NUL"));
  EXPECT_TRUE(says(parse_plan("", "p"), "empty"));
  EXPECT_TRUE(says(parse_plan("a: [1", "p"), "not a plan in YAML"));
  EXPECT_FALSE(parse_plan("a: 1\na: 2\n---\nb: 1\n", "p").diagnostics.empty());
  EXPECT_TRUE(says(load_plan("/nowhere/plan.yaml"), "can't read the plan"));
  EXPECT_TRUE(says(load_plan("/tmp"), "not a regular file"));
}

TEST(PlanYaml, RefusesActionsThatWaitForThemselves) {
  const auto outcome = parse(
      "    - {name: a, fault: noop, duration: 1s, startAfter: b, target: {netns: e}}\n"
      "    - {name: b, fault: noop, duration: 1s, startAfter: a, target: {netns: e}}\n");
  EXPECT_TRUE(says(outcome, "waits for itself"));
}

TEST(PlanYaml, EveryExampleIsValid) {
  int seen = 0;
  for (const auto& file : std::filesystem::directory_iterator(HOLDFAST_SOURCE_DIR "/experiments")) {
    if (file.path().extension() == ".yaml") {
      const auto outcome = load_plan(file.path());
      EXPECT_TRUE(outcome.experiment) << outcome.diagnostics.front().text();
      ++seen;
    }
  }
  EXPECT_GE(seen, 4);
}

std::string loss_action(const std::string& parameters) {
  return "    - {name: a, fault: loss, duration: 1s, target: {netns: e}, loss: {" + parameters +
         "}}\n";
}

const Draw& loss_of(const ParseOutcome& outcome) {
  return outcome.experiment->method[0].draw;
}

TEST(PlanLoss, ShapesThatKeepTheRequestedRate) {
  for (const char* shape :
       {"percent: 20%", "percent: 20%, burstLength: 3", "percent: 20%, correlation: 50%",
        "every: 5", "gilbertElliott: {goodToBad: 5%, badToGood: 20%}"}) {
    const auto outcome = parse(loss_action(shape));
    ASSERT_TRUE(outcome.experiment) << shape << outcome.diagnostics.front().text();
    EXPECT_NEAR(loss_of(outcome).expected_share(), 0.2, 1e-9) << shape;
  }
}

TEST(PlanLoss, BurstsLeaveTheBadStateAfterTheirLength) {
  const auto outcome = parse(loss_action("percent: 20%, burstLength: 4"));
  ASSERT_TRUE(outcome.experiment);
  EXPECT_DOUBLE_EQ(loss_of(outcome).chain.to_good, 0.25);
  EXPECT_EQ(describe_fault(outcome.experiment->method[0]), "loss 20% in bursts of 4");
}

TEST(PlanLoss, CorrelationIsTheShareOfThoseThatShareAFate) {
  const auto outcome = parse(loss_action("percent: 10%, correlation: 25%"));
  ASSERT_TRUE(outcome.experiment);
  // Of the chain: 1 - to_bad - to_good is the autocorrelation of neighbours.
  const Draw::Chain& chain = loss_of(outcome).chain;
  EXPECT_DOUBLE_EQ(1 - chain.to_bad - chain.to_good, 0.25);
}

TEST(PlanYaml, WhatOpensAConnectionIsOfTcp) {
  const auto outcome = parse(
      "    - {name: a, fault: blackhole, duration: 1s, target: {netns: e}, match: {connections: "
      "new}, blackhole: {how: refuse}}\n");
  ASSERT_TRUE(outcome.experiment);
  const Action& action = outcome.experiment->method[0];
  EXPECT_EQ(action.match.connections, Connections::opening);
  EXPECT_EQ(action.match.protocol, Protocol::tcp);
  EXPECT_EQ(describe_fault(action), "blackhole (refuse)");
  EXPECT_TRUE(says(parse("    - {name: a, fault: blackhole, duration: 1s, target: {netns: e}, "
                         "match: {connections: new, protocol: udp}}\n"),
                   "udp opens no connections"));
}

TEST(PlanLoss, RefusesWhatCanNotBe) {
  const std::pair<const char*, const char*> refused[] = {
      {"", "exactly one of percent, every, gilbertElliott"},
      {"percent: 1%, every: 3", "exactly one of percent, every, gilbertElliott"},
      {"percent: 0%", "above 0%"},
      {"percent: 101%", "percent"},
      {"percent: 10%, burstLength: 0.5", "1 to 1000000 packets"},
      {"percent: 80%, burstLength: 3", "4 to 1000000 packets"},
      {"percent: 10%, burstLength: -1", "1 to 1000000 packets"},
      {"percent: 10%, burstLength: nan", "not a number"},
      {"percent: 100%, burstLength: 5", "every packet is hit anyway"},
      {"percent: 10%, correlation: 100%", "nothing would ever change"},
      {"percent: 10%, correlation: 10%, burstLength: 2", "burstLength or correlation"},
      {"every: 0", "1 to 1000000000"},
      {"every: 3, correlation: 10%", "percent beside it"},
      {"gilbertElliott: {goodToBad: 0%, badToGood: 5%}", "above 0%"},
      {"gilbertElliott: {goodToBad: 1%}", "badToGood"},
      {"gilbertElliott: {goodToBad: 1%, badToGood: 5%, lossInBad: 0%}", "no loss at all"},
  };
  for (const auto& [parameters, words] : refused) {
    const auto outcome = parse(loss_action(parameters));
    EXPECT_FALSE(outcome.experiment) << parameters;
    EXPECT_TRUE(says(outcome, words))
        << parameters << ": "
        << (outcome.diagnostics.empty() ? "" : outcome.diagnostics.front().text());
  }
}

TEST(PlanYaml, FlowsAndPulses) {
  const auto outcome = parse(
      "    - {name: a, fault: noop, duration: 1m, target: {netns: e}, match: {flows: 30%}, pulse: "
      "{active: 10s, dormant: 20s}}\n");
  ASSERT_TRUE(outcome.experiment);
  const Action& action = outcome.experiment->method[0];
  EXPECT_DOUBLE_EQ(action.match.flows, 0.3);
  ASSERT_TRUE(action.pulse);
  EXPECT_EQ(action.pulse->dormant, std::chrono::seconds(20));
  EXPECT_EQ(describe_fault(action), "noop, 10s on and 20s off by turns");
  EXPECT_EQ(describe(action.match), "all traffic to anywhere, 30% of the connections");
  const auto refused = parse(
      "    - {name: a, fault: noop, duration: 1m, target: {netns: e}, match: {flows: 0%}, pulse: "
      "{active: 10ms}}\n");
  EXPECT_TRUE(says(refused, "match.flows: nothing at all"));
  EXPECT_TRUE(says(refused, "pulse.active"));
  EXPECT_TRUE(says(refused, "pulse.dormant"));
}

TEST(Units, AreExactAndRefuseWhatIsNotOne) {
  EXPECT_EQ(parse_duration("0.5s").value().count(), 500'000'000);
  EXPECT_EQ(parse_duration("1m30s250ms").value().count(), 90'250'000'000);
  for (const char* bad : {"", "5", "-1s", "1x", "1s1m", "s", "1.s", "99999999h"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
  EXPECT_DOUBLE_EQ(parse_percent("12.5%").value().share, 0.125);
  for (const char* bad : {"10", "101%", "-1%", "%", "nan%"}) {
    EXPECT_FALSE(parse_percent(bad)) << bad;
  }
}

}  // namespace
}  // namespace holdfast::plan
