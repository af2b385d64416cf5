#include "controller/verify/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace holdfast::verify {
namespace {

using plan::Comparison;
using plan::Tolerance;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr Tolerance kAtLeastOne{Comparison::ge, 1};

// A vector of series `up{instance="0"}`, `up{instance="1"}`, … with these values.
QueryResult vector_of(const std::vector<double>& values) {
  QueryResult result;
  result.evaluated_at = 1;
  for (const double value : values) {
    const Labels labels{{"__name__", "up"}, {"instance", std::to_string(result.samples.size())}};
    result.samples.push_back({labels, value, false});
  }
  return result;
}

QueryResult scalar_of(double value) {
  QueryResult result;
  result.type = QueryResult::Type::scalar;
  result.samples.push_back({{}, value, false});
  return result;
}

TEST(Judge, OneSample) {
  const auto ok = judge(vector_of({1}), kAtLeastOne);
  EXPECT_EQ(ok.status, Status::ok);
  EXPECT_EQ(ok.value, 1);
  EXPECT_EQ(ok.detail, R"(up{instance="0"} is 1)");
  const auto miss = judge(vector_of({0.5}), kAtLeastOne);
  EXPECT_EQ(miss.status, Status::miss);
  EXPECT_EQ(miss.value, 0.5);
  EXPECT_THAT(miss.detail, HasSubstr(R"(up{instance="0"} is 0.5, not >= 1)"));
}

TEST(Judge, Scalar) {
  EXPECT_EQ(judge(scalar_of(2), kAtLeastOne).status, Status::ok);
  const auto miss = judge(scalar_of(0), kAtLeastOne);
  EXPECT_EQ(miss.status, Status::miss);
  EXPECT_THAT(miss.detail, HasSubstr("the sample is 0"));
}

TEST(Judge, OkShowsTheSampleNearestToTheBound) {
  const auto ok = judge(vector_of({9, 1.25, 3}), kAtLeastOne);
  EXPECT_EQ(ok.status, Status::ok);
  EXPECT_EQ(ok.value, 1.25);
  EXPECT_THAT(ok.detail, AllOf(HasSubstr("all 3 samples"), HasSubstr(R"(instance="1"} is 1.25)")));
}

TEST(Judge, OneMissingSampleIsNamed) {
  const auto miss = judge(vector_of({1, 1, 0, 1}), kAtLeastOne);
  EXPECT_EQ(miss.status, Status::miss);
  EXPECT_EQ(miss.value, 0);
  EXPECT_THAT(miss.detail, AllOf(HasSubstr("1 of 4 samples misses >= 1"),
                                 HasSubstr(R"(up{instance="2"} is 0)")));
}

TEST(Judge, OfSeveralMissesTheWorst) {
  const auto miss = judge(vector_of({0.9, -3, 0.5, 1}), kAtLeastOne);
  EXPECT_EQ(miss.value, -3);
  EXPECT_THAT(miss.detail, AllOf(HasSubstr("3 of 4 samples miss >= 1; the worst: "),
                                 HasSubstr(R"(instance="1"} is -3)")));
}

TEST(Judge, EqualMissesInTheOrderOfTheirLabels) {
  QueryResult result = vector_of({0, 0});
  std::swap(result.samples[0], result.samples[1]);
  EXPECT_THAT(judge(result, kAtLeastOne).detail, HasSubstr(R"(instance="0"})"));
}

TEST(Judge, EmptyIsNoData) {
  const auto empty = judge(vector_of({}), kAtLeastOne);
  EXPECT_EQ(empty.status, Status::no_data);
  EXPECT_EQ(empty.value, std::nullopt);
  EXPECT_THAT(empty.detail, HasSubstr("empty"));
}

TEST(Judge, NanIsNoDataWhateverTheTolerance) {
  for (const auto comparison : {Comparison::ge, Comparison::le, Comparison::gt, Comparison::lt,
                                Comparison::eq, Comparison::ne}) {
    const auto nan = judge(vector_of({NAN}), {comparison, 1});
    EXPECT_EQ(nan.status, Status::no_data);
    EXPECT_THAT(nan.detail, HasSubstr("NaN"));
  }
  const auto some = judge(vector_of({1, NAN}), kAtLeastOne);
  EXPECT_EQ(some.status, Status::no_data);
  EXPECT_THAT(some.detail, AllOf(HasSubstr("1 of 2 samples has no usable number"),
                                 HasSubstr(R"(up{instance="1"} is NaN)")));
}

TEST(Judge, AMissIsAMissBesideNan) {
  EXPECT_EQ(judge(vector_of({NAN, 0}), kAtLeastOne).status, Status::miss);
}

TEST(Judge, InfinityCanMissButNeverPass) {
  EXPECT_EQ(judge(vector_of({INFINITY}), kAtLeastOne).status, Status::no_data);
  const auto miss = judge(vector_of({0, -INFINITY}), kAtLeastOne);
  EXPECT_EQ(miss.status, Status::miss);
  EXPECT_EQ(miss.value, -INFINITY);
  EXPECT_THAT(miss.detail, HasSubstr("is -Inf"));
}

TEST(Judge, WarningsAreNoData) {
  for (const double value : {1.0, 0.0}) {
    QueryResult result = vector_of({value});
    result.warnings.push_back("a store is down");
    const auto evaluation = judge(result, kAtLeastOne);
    EXPECT_EQ(evaluation.status, Status::no_data);
    EXPECT_THAT(evaluation.detail, HasSubstr("a store is down"));
  }
}

TEST(Judge, TypesWithoutNumbersAreNoData) {
  QueryResult result;
  result.type = QueryResult::Type::matrix;
  EXPECT_THAT(judge(result, kAtLeastOne).detail, HasSubstr("range vector"));
  result.type = QueryResult::Type::string;
  EXPECT_THAT(judge(result, kAtLeastOne).detail, HasSubstr("string"));
  QueryResult histogram = vector_of({NAN});
  histogram.samples[0].histogram = true;
  EXPECT_EQ(judge(histogram, kAtLeastOne).status, Status::no_data);
  EXPECT_THAT(judge(histogram, kAtLeastOne).detail, HasSubstr("native histogram"));
}

TEST(Judge, NotEqual) {
  EXPECT_EQ(judge(vector_of({1, 2}), {Comparison::ne, 2}).status, Status::miss);
  EXPECT_EQ(judge(vector_of({1, 3}), {Comparison::ne, 2}).status, Status::ok);
}

TEST(SampleText, LabelsAreCutAndEscaped) {
  EXPECT_EQ(describe({}), "the sample");
  EXPECT_EQ(describe({{"__name__", "up"}}), "up");
  EXPECT_EQ(describe({{"a", "x\"y\\"}, {"b", "1\n2"}}), R"({a="x\"y\\",b="1\n2"})");
  const std::string cut = describe({{"a", std::string(1000, 'x')}});
  EXPECT_LT(cut.size(), 210u);
  EXPECT_TRUE(cut.ends_with("…"));
}

TEST(SampleText, NeverCutInsideACharacter) {
  EXPECT_EQ(one_line("aä", 2), "a…");
  EXPECT_EQ(one_line("aä", 3), "aä");
  EXPECT_EQ(one_line("a€b", 3), "a…");
}

TEST(SampleText, Values) {
  EXPECT_EQ(format_value(0.995), "0.995");
  EXPECT_EQ(format_value(1.0 / 3), "0.333333");
  EXPECT_EQ(format_value(1500000000), "1.5e+09");
  EXPECT_EQ(format_value(NAN), "NaN");
  EXPECT_EQ(format_value(-NAN), "NaN");
  EXPECT_EQ(format_value(INFINITY), "+Inf");
}

}  // namespace
}  // namespace holdfast::verify
