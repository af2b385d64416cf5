#include "tests/bench/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "tests/bench/result_writer.h"

namespace holdfast::bench {
namespace {

std::vector<double> one_to(int last) {
  std::vector<double> numbers(static_cast<std::size_t>(last));
  std::iota(numbers.rbegin(), numbers.rend(), 1.0);  // unsorted on purpose: downwards
  return numbers;
}

TEST(Statistics, PercentilesAreMeasuredSamples) {
  const Summary all = summarize(one_to(100));
  EXPECT_EQ(all.min, 1);
  EXPECT_EQ(all.p10, 10);
  EXPECT_EQ(all.median, 50);
  EXPECT_EQ(all.p90, 90);
  EXPECT_EQ(all.p99, 99);
  EXPECT_EQ(all.max, 100);
}

TEST(Statistics, FewSamplesHaveTheirGreatestAsP99) {
  const Summary all = summarize({3, 1, 2});
  EXPECT_EQ(all.median, 2);
  EXPECT_EQ(all.p10, 1);
  EXPECT_EQ(all.p99, 3);
  EXPECT_EQ(summarize({7}).min, 7);
  EXPECT_EQ(summarize({7}).max, 7);
}

TEST(Statistics, AnOutlierMovesOnlyTheTail) {
  std::vector<double> samples(15, 10.0);
  samples[3] = 1e9;
  EXPECT_EQ(summarize(samples).median, 10);
  EXPECT_EQ(summarize(samples).p90, 10);
  EXPECT_EQ(summarize(samples).max, 1e9);
}

TEST(Statistics, NothingMeasuredIsNotANumberAndMeetsNoTarget) {
  EXPECT_TRUE(std::isnan(percentile({}, 0.5)));
  const Figure figure{.name = "f", .unit = "ns", .samples = {}, .target = Target{.at_most = 1}};
  EXPECT_EQ(figure.met(), false);
}

TEST(Figures, ATargetIsJudgedByItsOwnStatistic) {
  Figure figure{.name = "f", .unit = "ms", .samples = one_to(100), .target = std::nullopt};
  EXPECT_EQ(figure.met(), std::nullopt);
  figure.target = Target{.statistic = Statistic::median, .at_most = 50};
  EXPECT_EQ(figure.met(), true);
  figure.target = Target{.statistic = Statistic::p99, .at_most = 98.5};
  EXPECT_EQ(figure.met(), false);
}

TEST(Writers, SayWhatWasMissed) {
  const BenchmarkResult result{
      .name = "b",
      .what = "this against that",
      .figures = {{.name = "good", .unit = "ns", .samples = {1}, .target = Target{.at_most = 2}},
                  {.name = "bad", .unit = "ns", .samples = {3}, .target = Target{.at_most = 2}},
                  {.name = "free", .unit = "ns", .samples = {3}, .target = std::nullopt}},
      .notes = {"a note"},
      .seconds = 1};
  Machine machine;
  machine.cpu_model = "m";
  const auto document = nlohmann::json::parse(to_json(machine, true, {result}));
  const auto& figures = document["benchmarks"][0]["figures"];
  EXPECT_EQ(figures[0]["met"], true);
  EXPECT_EQ(figures[1]["met"], false);
  EXPECT_TRUE(figures[2]["met"].is_null());
  EXPECT_EQ(figures[1]["target"]["at_most"], 2);
  EXPECT_EQ(document["machine"]["cpu_model"], "m");
  for (const std::string& text : {to_terminal(result), to_markdown({}, false, {result})}) {
    EXPECT_NE(text.find("missed"), std::string::npos) << text;
    EXPECT_NE(text.find("median <= 2 ns"), std::string::npos) << text;
    EXPECT_NE(text.find("a note"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace holdfast::bench
