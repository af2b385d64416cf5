#include "controller/verify/freshness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::verify {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// Answers with what the test put in, in order, and keeps what it was asked.
class FakeServer final : public ServerApi {
 public:
  ApiResult<QueryResult> query(const std::string& promql, std::optional<double> at) override {
    queries.push_back(promql);
    evaluated_at.push_back(at.value_or(-1));
    if (answers.empty()) {
      return QueryResult{};
    }
    auto answer = std::move(answers.front());
    answers.erase(answers.begin());
    return answer;
  }
  ApiResult<std::vector<ScrapeTarget>> active_targets() override {
    ++targets_asked;
    return targets;
  }
  ApiResult<GlobalIntervals> global_intervals() override {
    ++config_asked;
    return global;
  }

  std::vector<ApiResult<QueryResult>> answers;
  ApiResult<std::vector<ScrapeTarget>> targets{{{"a", "h:1", 1s}, {"slow", "h:2", 30s}}};
  ApiResult<GlobalIntervals> global{GlobalIntervals{5s, 10s}};
  std::vector<std::string> queries;
  std::vector<double> evaluated_at;
  int targets_asked = 0;
  int config_asked = 0;
};

const ApiError kUnreachable{ApiError::Kind::unreachable, "can't connect"};
const ApiError kNotFound{ApiError::Kind::refused, "HTTP 404"};

Sample age(const std::string& selector, const std::string& job, const std::string& instance,
           double seconds) {
  return {{{"holdfast_age", selector}, {"job", job}, {"instance", instance}}, seconds, false};
}
Sample mark(const std::string& label, const std::string& selector) {
  return {{{label, selector}}, 1, false};
}
QueryResult samples(std::vector<Sample> list) {
  QueryResult result;
  result.samples = std::move(list);
  return result;
}

class Freshness : public ::testing::Test {
 protected:
  std::optional<std::string> check(std::string_view promql) {
    const auto selectors = find_selectors(promql);
    EXPECT_TRUE(selectors);
    return find_stale(*selectors, 1700000000.25, server_, intervals_, now_);
  }
  FakeServer server_;
  ScrapeIntervals intervals_{std::nullopt};
  ScrapeIntervals::Clock::time_point now_{};
};

TEST_F(Freshness, NothingToAskWithoutSelectors) {
  EXPECT_EQ(check("vector(1)"), std::nullopt);
  EXPECT_EQ(check("a offset 5m"), std::nullopt);
  EXPECT_THAT(server_.queries, IsEmpty());
  EXPECT_EQ(server_.targets_asked, 0);
}

TEST_F(Freshness, OneRequestAtTheInstantOfTheResult) {
  EXPECT_EQ(check("a / b"), std::nullopt);
  ASSERT_THAT(server_.queries, SizeIs(1));
  EXPECT_THAT(server_.evaluated_at, ElementsAre(1700000000.25));
  // Twice the shortest interval of any target.
  EXPECT_THAT(server_.queries[0], AllOf(HasSubstr("((time() - timestamp(a)) > 2)"),
                                        HasSubstr("timestamp(b)"), Not(HasSubstr("count("))));
}

TEST_F(Freshness, ASelectorWrittenTwiceIsAskedOnce) {
  check("a / (a + rate(a[1m]))");
  ASSERT_FALSE(server_.queries.empty());
  const std::string& query = server_.queries[0];
  EXPECT_EQ(query.find("timestamp(a)"), query.rfind("timestamp(a)"));
  EXPECT_THAT(query, HasSubstr("count(a)"));
}

TEST_F(Freshness, OlderThanTwoIntervalsIsStaleAndNamed) {
  server_.answers = {samples({age("1", "a", "h:1", 2.5)})};
  const auto reason = check("b + a");
  ASSERT_TRUE(reason);
  EXPECT_THAT(*reason, AllOf(HasSubstr(R"(a{instance="h:1",job="a"} is 2.5 s old)"),
                             HasSubstr("interval is 1 s"), Not(HasSubstr("holdfast"))));
}

TEST_F(Freshness, EachSeriesByItsOwnInterval) {
  server_.answers = {samples({age("0", "slow", "h:2", 59.9)})};
  EXPECT_EQ(check("a"), std::nullopt);
  server_.answers = {samples({age("0", "slow", "h:2", 60.1)})};
  EXPECT_NE(check("a"), std::nullopt);
  EXPECT_EQ(server_.targets_asked, 1);
}

TEST_F(Freshness, ExactlyTwoIntervalsIsFresh) {
  server_.answers = {samples({age("0", "a", "h:1", 2.0)})};
  EXPECT_EQ(check("a"), std::nullopt);
}

TEST_F(Freshness, UnknownSeriesAskTheTargetsOnceMore) {
  for (int round = 0; round < 3; ++round) {
    server_.answers = {samples({age("0", "new", "h:9", 19)})};
    EXPECT_EQ(check("a"), std::nullopt);  // the longer of the global intervals: 10 s
  }
  EXPECT_EQ(server_.targets_asked, 2);
  server_.answers = {samples({age("0", "new", "h:9", 21)})};
  EXPECT_NE(check("a"), std::nullopt);
  now_ += 31s;
  check("a");
  EXPECT_EQ(server_.targets_asked, 3);
}

TEST_F(Freshness, ATargetThatCameLaterIsFound) {
  check("a");
  server_.targets->push_back({"new", "h:9", 15s});
  server_.answers = {samples({age("0", "new", "h:9", 29)})};
  EXPECT_EQ(check("a"), std::nullopt);
  server_.answers = {samples({age("0", "new", "h:9", 31)})};
  EXPECT_THAT(check("a").value_or(""), HasSubstr("interval is 15 s"));
}

TEST_F(Freshness, ThePlansIntervalNeedsNoTargets) {
  intervals_ = ScrapeIntervals(500ms);
  server_.answers = {samples({age("0", "slow", "h:2", 1.5)})};
  EXPECT_NE(check("a"), std::nullopt);
  EXPECT_EQ(server_.targets_asked + server_.config_asked, 0);
  EXPECT_THAT(server_.queries[0], HasSubstr("> 1)"));
}

TEST_F(Freshness, ServersWithoutTheseApisHaveAMinute) {
  server_.targets = std::unexpected(kNotFound);
  server_.global = std::unexpected(kNotFound);
  server_.answers = {samples({age("0", "a", "h:1", 119)})};
  EXPECT_EQ(check("a"), std::nullopt);
  server_.answers = {samples({age("0", "a", "h:1", 121)})};
  EXPECT_NE(check("a"), std::nullopt);
}

TEST_F(Freshness, WhatCannotBeAskedIsNotFresh) {
  server_.answers = {std::unexpected(kUnreachable)};
  EXPECT_THAT(check("a").value_or(""), HasSubstr("can't connect"));
  QueryResult warned;
  warned.warnings = {"half of it"};
  server_.answers = {warned};
  EXPECT_THAT(check("a").value_or(""), HasSubstr("half of it"));
  now_ += 31s;
  server_.targets = std::unexpected(kUnreachable);
  EXPECT_THAT(check("a").value_or(""), HasSubstr("can't connect"));
}

TEST_F(Freshness, ALookBackAtSeriesThatEndedIsStale) {
  server_.answers = {samples({mark("holdfast_present", "1")}),
                     samples({mark("holdfast_ended", "0")})};
  const auto reason = check(R"(rate(a{x="y"}[10s]) + rate(b[10s]))");
  EXPECT_THAT(reason.value_or(""), AllOf(HasSubstr(R"(a{x="y"})"), HasSubstr("ended")));
  ASSERT_THAT(server_.queries, SizeIs(2));
  EXPECT_THAT(server_.queries[1],
              AllOf(HasSubstr(R"(last_over_time(a{x="y"}[10000ms]))"), Not(HasSubstr("(b"))));
}

TEST_F(Freshness, ALookBackAtNothingIsNoMatter) {
  server_.answers = {samples({}), samples({})};
  EXPECT_EQ(check("absent_over_time(a[1m])"), std::nullopt);
  EXPECT_THAT(server_.queries, SizeIs(2));
}

TEST_F(Freshness, SeveralMetricsAreAskedOneByOne) {
  server_.answers = {samples({{{{"__name__", "x"}}, 1, false}, {{{"__name__", "y"}}, 1, false}}),
                     samples({age("1", "a", "h:1", 7)})};
  EXPECT_THAT(check(R"({job="a"})").value_or(""), HasSubstr("y{"));
  ASSERT_THAT(server_.queries, SizeIs(2));
  EXPECT_EQ(server_.queries[0], R"(group by (__name__) ({job="a"}))");
  EXPECT_THAT(server_.queries[1], AllOf(HasSubstr(R"(timestamp({__name__="x",job="a"}))"),
                                        HasSubstr(R"(timestamp({__name__="y",job="a"}))")));
}

TEST_F(Freshness, TooManyMetricsAreRefused) {
  std::vector<Sample> names;
  for (int i = 0; i < 101; ++i) {
    names.push_back({{{"__name__", "m" + std::to_string(i)}}, 1, false});
  }
  server_.answers = {samples(names)};
  EXPECT_THAT(check(R"({job="a"})").value_or(""), HasSubstr("more than 100 metrics"));
}

TEST_F(Freshness, StrangeIndexesAreIgnored) {
  server_.answers = {samples({age("7", "a", "h:1", 99), age("x", "slow", "h:2", 3)})};
  EXPECT_EQ(check("a"), std::nullopt);
}

}  // namespace
}  // namespace holdfast::verify
