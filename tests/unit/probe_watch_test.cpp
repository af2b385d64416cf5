// From single evaluations to the outcome of a phase.
#include "controller/probe_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using verify::Status;

// Adds one evaluation a second: 'o' ok, 'm' miss, '-' no data.
ProbeWatch watch_of(int threshold, std::string_view evaluations) {
  ProbeWatch watch(threshold);
  double at = 0;
  for (const char c : evaluations) {
    const Status status = c == 'o' ? Status::ok : c == 'm' ? Status::miss : Status::no_data;
    watch.add({status, std::nullopt, std::string(1, c) + std::to_string(static_cast<int>(at))}, at);
    ++at;
  }
  return watch;
}

TEST(ProbeWatch, NothingEvaluatedIsNoData) {
  const ProbeWatch watch = watch_of(1, "");
  EXPECT_EQ(watch.status(), Status::no_data);
  EXPECT_FALSE(watch.evaluated());
  EXPECT_FALSE(watch.decided());
  EXPECT_FALSE(watch.steady_since());
  EXPECT_EQ(watch.outcome().status, Status::no_data);
  EXPECT_THAT(watch.outcome().detail, HasSubstr("not evaluated"));
}

TEST(ProbeWatch, StatusAndOutcome) {
  struct Case {
    int threshold;
    std::string_view evaluations;
    Status status, outcome;
  };
  constexpr Status kOk = Status::ok, kMiss = Status::miss, kNoData = Status::no_data;
  for (const Case& one : std::vector<Case>{
           {1, "o", kOk, kOk},
           {1, "m", kMiss, kMiss},
           {1, "-", kNoData, kNoData},
           {1, "mo", kMiss, kMiss},  // a miss is not made good
           {1, "-o", kNoData, kNoData},
           {1, "-m", kMiss, kMiss},  // and outweighs missing data, in either order
           {1, "m-", kMiss, kMiss},
           {2, "mom", kOk, kOk},
           {2, "omm", kMiss, kMiss},
           {2, "o--", kNoData, kNoData},
           {2, "om-", kNoData, kNoData},  // bad in a row, but no two misses
           {3, "o-mm", kNoData, kNoData},
           {3, "o-mmm", kMiss, kMiss},
           {3, "mm", kOk, kNoData},  // not certain yet; at the end of a phase never a pass
           {3, "--", kOk, kNoData},
           {3, "mmo", kOk, kOk},
           {3, "omm", kOk, kOk},
       }) {
    const ProbeWatch watch = watch_of(one.threshold, one.evaluations);
    EXPECT_EQ(watch.status(), one.status) << one.threshold << " " << one.evaluations;
    EXPECT_EQ(watch.outcome().status, one.outcome) << one.threshold << " " << one.evaluations;
  }
}

TEST(ProbeWatch, TheDetailIsThatOfTheDecidingEvaluation) {
  EXPECT_EQ(watch_of(2, "ommo").outcome().detail, "m2");
  EXPECT_EQ(watch_of(2, "o-mmo").outcome().detail, "m3");
  EXPECT_EQ(watch_of(1, "oo").outcome().detail, "o1");
  EXPECT_THAT(watch_of(9, "m-m").outcome().detail, HasSubstr("3 evaluations, none of them ok"));
  EXPECT_THAT(watch_of(9, "m-m").outcome().detail, HasSubstr("m2"));
}

TEST(ProbeWatch, SteadyIsARowAsLongAsTheThreshold) {
  EXPECT_EQ(watch_of(1, "mmo").steady_since(), 2);
  EXPECT_EQ(watch_of(2, "mmo").steady_since(), std::nullopt);
  EXPECT_EQ(watch_of(2, "mmooo").steady_since(), 2) << "since the row began";
  EXPECT_EQ(watch_of(2, "oo-o").steady_since(), std::nullopt);
}

TEST(ProbeWatch, DecidedWhenMoreEvaluationsCouldNotTurnNothingIntoAPass) {
  EXPECT_FALSE(watch_of(3, "m-").decided());
  EXPECT_TRUE(watch_of(3, "m--").decided());
  EXPECT_TRUE(watch_of(3, "mo").decided());
}

TEST(ProbeWatch, ResetForgetsAllButTheThreshold) {
  ProbeWatch watch = watch_of(2, "mm");
  watch.reset();
  EXPECT_FALSE(watch.evaluated());
  EXPECT_FALSE(watch.decided());
  watch.add({Status::ok, std::nullopt, ""}, 0);
  EXPECT_EQ(watch.outcome().status, Status::ok);
  EXPECT_FALSE(watch.steady_since());
}

}  // namespace
}  // namespace holdfast
