// The runner where time and thresholds get in each other's way: what must never pass as held.
#include <thread>

#include "tests/unit/runner_fixture.h"

namespace holdfast::runner_test {
namespace {

using report::Verdict;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using verify::Status;
using Clock = std::chrono::steady_clock;

void wait_until(Clock::time_point when) {
  while (Clock::now() < when) {
    std::this_thread::yield();
  }
}

// Every evaluation during the fault misses, but there are too few of them for the threshold.
TEST_F(RunnerTest, TooFewEvaluationsForTheThresholdAreNoPass) {
  for (const Status status : {Status::miss, Status::no_data}) {
    experiment_.probes[0].failure_threshold = 1000;
    experiment_.probes[0].when = {plan::When::before, plan::When::during};
    answer_ = [status](const plan::Probe&, const World& world) {
      return world.injections > 0 ? status : Status::ok;
    };
    world_.injections = 0;
    const report::RunReport done = report();
    EXPECT_EQ(done.verdict, Verdict::inconclusive) << done.reason;
    EXPECT_THAT(done.reason, HasSubstr("none of them ok"));
  }
}

TEST_F(RunnerTest, TheBaselineGoesOnUntilTheThresholdDecides) {
  experiment_.baseline = 1ms;  // time for one evaluation only
  experiment_.probes[0].failure_threshold = 4;
  std::atomic<int> asked = 0;
  answer_ = [&asked](const plan::Probe&, const World&) {
    ++asked;
    return Status::miss;
  };
  const report::RunReport done = report();
  EXPECT_EQ(done.verdict, Verdict::inconclusive);
  EXPECT_THAT(done.reason, HasSubstr("nothing was injected"));
  EXPECT_THAT(agent_.calls, Not(Contains("arm 0")));
  EXPECT_GE(asked, 4);
}

TEST_F(RunnerTest, ABaselineThatRecoversBelowTheThresholdHolds) {
  experiment_.baseline = 1ms;
  experiment_.probes[0].failure_threshold = 4;
  std::atomic<int> asked = 0;
  answer_ = [&asked](const plan::Probe&, const World&) {
    return ++asked <= 3 ? Status::miss : Status::ok;
  };
  EXPECT_EQ(report().verdict, Verdict::held);
}

// A phase that begins in the middle of a row of misses does not begin the row anew, and the
// evaluation that was under way at that moment counts as well.
TEST_F(RunnerTest, StopConditionsCountAcrossPhases) {
  Gate gate;
  experiment_.stop_conditions = {probe_of("site is up")};
  experiment_.stop_conditions[0].failure_threshold = 2;
  experiment_.method[0].duration = 500ms;
  std::atomic<int> asked = 0;
  answer_ = [&](const plan::Probe& probe, const World&) {
    if (probe.name != "site is up") {
      return Status::ok;
    }
    const int number = ++asked;
    if (number == 3) {
      gate.pass();
    }
    return number == 2 || number == 3 ? Status::miss : Status::ok;
  };
  observer_.at_event = [&](const std::string& text) {
    if (text == "injecting") {
      EXPECT_TRUE(gate.await_held());
    } else if (text.find("injected: ") != std::string::npos) {
      gate.open();
    }
  };
  const report::RunReport done = report();
  EXPECT_EQ(done.verdict, Verdict::aborted) << done.reason;
  EXPECT_THAT(done.reason, HasSubstr("site is up"));
}

// The process was stopped, or its terminal: the kernel has ended the faults by itself meanwhile,
// and a lease renewed afterwards would bring them back unseen.
TEST_F(RunnerTest, ALostLeaseEndsTheRun) {
  agent_.lease = 50ms;
  experiment_.method[0].duration = 2s;
  observer_.at_event = [](const std::string& text) {
    if (text.find("injected: ") != std::string::npos) {
      wait_until(Clock::now() + 150ms);
    }
  };
  const report::RunReport done = report();
  EXPECT_EQ(done.verdict, Verdict::aborted) << done.reason;
  EXPECT_THAT(done.reason, HasSubstr("lease"));
  EXPECT_EQ(agent_.renewals_while_live, 0);
}

TEST_F(RunnerTest, AWaitingActionDoesNotKeepTheObserverBusy) {
  experiment_.method = {action_of("second"), action_of("first")};
  experiment_.method[0].start_after_action = "first";
  experiment_.method[1].duration = 500ms;
  for (plan::Probe& probe : experiment_.probes) {
    probe.interval = 1ms;
  }
  EXPECT_EQ(report().verdict, Verdict::held);
  // A few times a second, however often the probes answer, and once for each thing that happens.
  EXPECT_LT(observer_.statuses, 40);
}

TEST_F(RunnerTest, AnActionStartsWhenTheOneBeforeItEnds) {
  experiment_.method = {action_of("second"), action_of("first")};
  experiment_.method[0].start_after_action = "first";
  EXPECT_EQ(report().verdict, Verdict::held);
  const auto removed = std::ranges::find_if(observer_.log, [](const std::string& text) {
    return text.starts_with("action \"first\" removed");
  });
  ASSERT_NE(removed, observer_.log.end());
  EXPECT_THAT(*std::next(removed), HasSubstr("action \"second\" injected"));
}

TEST_F(RunnerTest, ASampleBelongsToThePhaseInWhichItWasAskedFor) {
  Gate gate;
  experiment_.probes.push_back(probe_of("slow"));
  experiment_.probes[1].when = {plan::When::before};
  experiment_.method[0].duration = 200ms;
  std::atomic<int> asked = 0;
  answer_ = [&](const plan::Probe& probe, const World&) {
    if (probe.name == "slow" && ++asked == 2) {
      gate.pass();
    }
    return Status::ok;
  };
  observer_.at_event = [&](const std::string& text) {
    if (text == "injecting") {
      EXPECT_TRUE(gate.await_held());
    } else if (text.find("injected: ") != std::string::npos) {
      gate.open();
    }
  };
  const report::RunReport done = report();
  const auto& points = done.probes[1].points;
  ASSERT_GE(points.size(), 2U);
  for (const report::ProbePoint& point : points) {
    const auto span = std::ranges::find(done.phases, point.phase, &report::PhaseSpan::phase);
    ASSERT_NE(span, done.phases.end());
    EXPECT_GE(point.at, span->start);
    EXPECT_LE(point.at, span->end);
  }
}

}  // namespace
}  // namespace holdfast::runner_test
