// Plans from text: what is accepted, and what is said about what is not.
#include "common/plan_yaml.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

namespace holdfast::plan {
namespace {

constexpr const char* kHead = R"(apiVersion: holdfast/v1
kind: Experiment
metadata: {name: test}
spec:
  prometheus: {url: "http://127.0.0.1:9090"}
  steadyStateHypothesis:
    probes:
      - {name: up, type: prometheus, query: up, tolerance: ">= 1"}
  method:
)";

ParseOutcome parse(const std::string& method) {
  return parse_plan(kHead + method, "plan.yaml");
}

bool says(const ParseOutcome& outcome, const std::string& words) {
  return std::any_of(
      outcome.diagnostics.begin(), outcome.diagnostics.end(),
      [&](const Diagnostic& one) { return one.text().find(words) != std::string::npos; });
}

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
