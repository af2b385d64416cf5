#include "controller/verify/promql_duration.h"

#include <gtest/gtest.h>

namespace holdfast::verify {
namespace {

using namespace std::chrono_literals;

TEST(PromqlDuration, Units) {
  EXPECT_EQ(parse_promql_duration("500ms"), 500ms);
  EXPECT_EQ(parse_promql_duration("1s"), 1s);
  EXPECT_EQ(parse_promql_duration("1h30m"), 90min);
  EXPECT_EQ(parse_promql_duration("1y2w3d4h5m6s7ms"), (365 + 14 + 3) * 24h + 4h + 5min + 6s + 7ms);
  EXPECT_EQ(parse_promql_duration("0s"), 0ms);
}

TEST(PromqlDuration, PlainSeconds) {
  EXPECT_EQ(parse_promql_duration("300"), 300s);
  EXPECT_EQ(parse_promql_duration("0.25"), 250ms);
}

TEST(PromqlDuration, Refused) {
  for (const char* text : {"", "s", "5 m", "-5m", "5m1h", "5m5m", "1.5h", "5x", "5mm", "m5", "200y",
                           "99999999999999999999s", "nan", "inf", "1e99"}) {
    EXPECT_FALSE(parse_promql_duration(text)) << text;
  }
}

TEST(PromqlDuration, FormatIsReadBack) {
  EXPECT_EQ(format_promql_duration(90s), "90000ms");
  EXPECT_EQ(parse_promql_duration(format_promql_duration(90s)), 90s);
}

}  // namespace
}  // namespace holdfast::verify
