// The state machine of a run, with an agent and probes that do as they are told.
#include "controller/runner.h"

#include "controller/preflight.h"
#include "tests/unit/runner_fixture.h"

namespace holdfast::runner_test {
namespace {

using report::Verdict;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using verify::Status;

TEST_F(RunnerTest, Held) {
  const report::RunReport done = report();
  EXPECT_EQ(done.verdict, Verdict::held) << done.reason;
  EXPECT_THAT(agent_.calls, ElementsAre("prepare", "snapshot_host", "arm 0", "disarm 0",
                                        "disarm_all", "disarm_all", "compare_host"));
  ASSERT_TRUE(done.actions[0].start && done.actions[0].end);
  EXPECT_GE(*done.actions[0].end - *done.actions[0].start, 0.06);
  EXPECT_TRUE(done.actions[0].proven);
  EXPECT_TRUE(done.recovery_seconds);
  EXPECT_EQ(done.probes[0].outcomes.size(), 3U);
  EXPECT_EQ(observer_.most_live, 1);
  EXPECT_EQ(done.run_id, "r1");
}

TEST_F(RunnerTest, BreachedWhereAProbeMissesDuringTheFault) {
  answer_ = [](const plan::Probe&, const World& world) {
    return world.live > 0 ? Status::miss : Status::ok;
  };
  const report::RunReport done = report();
  EXPECT_EQ(done.verdict, Verdict::breached);
  EXPECT_THAT(done.reason, HasSubstr("sells"));
}

TEST_F(RunnerTest, BreachedWhereRecoveryComesTooLate) {
  experiment_.probes[0].when = {plan::When::before, plan::When::after};
  answer_ = [](const plan::Probe&, const World& world) {
    return world.injections > 0 ? Status::miss : Status::ok;
  };
  const report::RunReport done = report();
  EXPECT_EQ(done.verdict, Verdict::breached) << done.reason;
  EXPECT_FALSE(done.recovery_seconds);
}

TEST_F(RunnerTest, MissesBelowTheThresholdAreNone) {
  experiment_.probes[0].failure_threshold = 3;
  std::atomic<int> asked = 0;
  answer_ = [&](const plan::Probe&, const World&) {
    return ++asked % 3 == 0 ? Status::ok : Status::miss;
  };
  // Never three misses in a row, and never three good ones: nothing breached, but not recovered.
  const report::RunReport done = report();
  EXPECT_EQ(done.verdict, Verdict::breached);
  EXPECT_THAT(done.reason, HasSubstr("never held 3 times in a row"));
}

TEST_F(RunnerTest, NotInjectedWhereNothingWasHit) {
  agent_.hits = 0;
  EXPECT_EQ(report().verdict, Verdict::not_injected);
}

TEST_F(RunnerTest, WithoutASteadyStateNothingIsInjected) {
  for (const Status status : {Status::miss, Status::no_data}) {
    agent_.calls.clear();
    answer_ = [status](const plan::Probe&, const World&) { return status; };
    const report::RunReport done = report();
    EXPECT_EQ(done.verdict, Verdict::inconclusive);
    EXPECT_THAT(done.reason, HasSubstr("nothing was injected"));
    EXPECT_THAT(agent_.calls, Not(Contains("arm 0")));
  }
}

TEST_F(RunnerTest, NoDataDuringTheFaultIsNoPass) {
  answer_ = [](const plan::Probe&, const World& world) {
    return world.live > 0 ? Status::no_data : Status::ok;
  };
  EXPECT_EQ(report().verdict, Verdict::inconclusive);
}

TEST_F(RunnerTest, AMissOutweighsMissingData) {
  experiment_.probes.push_back(probe_of("blind"));
  answer_ = [](const plan::Probe& probe, const World& world) {
    return world.live == 0 ? Status::ok : probe.name == "blind" ? Status::no_data : Status::miss;
  };
  EXPECT_EQ(report().verdict, Verdict::breached);
}

TEST_F(RunnerTest, AProbeThatWasNotAskedInAPhaseSaysNothing) {
  experiment_.probes[0].interval = 10s;  // once, before
  const report::RunReport done = report();
  EXPECT_EQ(done.verdict, Verdict::inconclusive) << done.reason;
}

TEST_F(RunnerTest, AQueryThatTheServerRefusesIsAnErrorOfThePlan) {
  check_ = fail(ErrorKind::usage, "parse error");
  const auto result = run();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::usage);
  EXPECT_THAT(result.error().message, HasSubstr("sells"));
  EXPECT_THAT(agent_.calls, Not(Contains("arm 0")));
}

TEST_F(RunnerTest, AnUnreachablePrometheusIsInconclusiveAndNothingIsInjected) {
  check_ = fail(ErrorKind::unavailable, "connection refused");
  const report::RunReport done = report();
  EXPECT_EQ(done.verdict, Verdict::inconclusive);
  EXPECT_THAT(done.reason, HasSubstr("connection refused"));
  EXPECT_THAT(agent_.calls, Not(Contains("arm 0")));
}

TEST_F(RunnerTest, WhatDoesNotFitTheNodeIsAnError) {
  for (const char* call : {"prepare", "snapshot_host"}) {
    agent_.fails = call;
    agent_.calls.clear();
    EXPECT_FALSE(run()) << call;
    EXPECT_THAT(agent_.calls, Not(Contains("arm 0"))) << call;
  }
}

TEST_F(RunnerTest, CancelledInAnyPhase) {
  for (const char* phase : {"preflight", "baseline", "injected", "recovering"}) {
    SCOPED_TRACE(phase);
    World fresh;
    agent_.calls.clear();
    observer_ = Observer();
    observer_.cancel_at = phase;
    // Not steady again at once: otherwise there would be no recovery to be cancelled.
    answer_ = [](const plan::Probe&, const World& world) {
      return world.live == 0 && world.injections > 0 ? Status::miss : Status::ok;
    };
    world_.injections = 0;
    const report::RunReport done = report();
    EXPECT_EQ(done.verdict, Verdict::aborted);
    EXPECT_THAT(done.reason, HasSubstr("signal"));
    if (std::string_view(phase) == "injected") {
      const auto armed = std::ranges::find(agent_.calls, "arm 0");
      ASSERT_NE(armed, agent_.calls.end());
      EXPECT_EQ(*std::next(armed), "disarm_all") << "all faults end before anything else";
    }
  }
}

TEST_F(RunnerTest, StopConditionsEndTheRun) {
  experiment_.stop_conditions = {probe_of("site is up")};
  experiment_.method[0].duration = 1h;
  for (const Status status : {Status::miss, Status::no_data}) {
    answer_ = [status](const plan::Probe& probe, const World& world) {
      return probe.name == "site is up" && world.live > 0 ? status : Status::ok;
    };
    const report::RunReport done = report();
    // What can't be seen can't be watched over: the run ends as well.
    EXPECT_EQ(done.verdict, status == Status::miss ? Verdict::aborted : Verdict::inconclusive);
    EXPECT_THAT(done.reason, HasSubstr("site is up"));
  }
}

TEST_F(RunnerTest, AFaultThatCanNotBeInjectedEndsTheRun) {
  experiment_.method.push_back(action_of("lose"));
  agent_.fails = "arm 1";
  const report::RunReport done = report();
  EXPECT_EQ(done.verdict, Verdict::aborted);
  EXPECT_THAT(done.reason, HasSubstr("arm 1 failed"));
}

TEST_F(RunnerTest, AHostThatIsNotAsBeforeIsDirtyWhateverElse) {
  agent_.differences = {{.what = "qdisc",
                         .where = "clsact on eth0",
                         .before = "",
                         .after = "clsact",
                         .cure = "tc qdisc del dev eth0 clsact"}};
  report::RunReport done = report();
  EXPECT_EQ(done.verdict, Verdict::dirty);
  ASSERT_EQ(done.host_differences.size(), 1U);
  EXPECT_EQ(done.host_differences[0].cure, "tc qdisc del dev eth0 clsact");
}

TEST_F(RunnerTest, AHostThatCanNotBeComparedIsDirty) {
  agent_.fails = "compare_host";
  EXPECT_EQ(report().verdict, Verdict::dirty);
}

TEST_F(RunnerTest, RemovingThatFailsIsSaid) {
  agent_.fails = "disarm_all";
  const report::RunReport done = report();
  EXPECT_THAT(observer_.events, Contains(HasSubstr("disarm_all failed")));
  EXPECT_EQ(done.verdict, Verdict::dirty) << "no proof that it is clean: " << done.reason;
}

TEST_F(RunnerTest, ActionsWaitForOneAnother) {
  experiment_.method = {action_of("second"), action_of("first")};
  experiment_.method[0].start_after_action = "first";
  EXPECT_EQ(report().verdict, Verdict::held);
  EXPECT_THAT(agent_.calls, ElementsAre("prepare", "snapshot_host", "arm 1", "disarm 1", "arm 0",
                                        "disarm 0", "disarm_all", "disarm_all", "compare_host"));
}

TEST_F(RunnerTest, ActionsAtOneTime) {
  experiment_.method = {action_of("one"), action_of("two")};
  EXPECT_EQ(report().verdict, Verdict::held);
  EXPECT_EQ(observer_.most_live, 2);
}

TEST(PeersOf, TheAddressOfThePrometheus) {
  plan::Experiment experiment;
  const auto peer = [&](const std::string& url) {
    experiment.prometheus.url = url;
    const auto peers = peers_of(experiment);
    EXPECT_EQ(peers.size(), 1U);
    return peers.front().host + " " + std::to_string(peers.front().port);
  };
  EXPECT_EQ(peer("http://10.0.0.1:9090"), "10.0.0.1 9090");
  EXPECT_EQ(peer("http://prometheus/base"), "prometheus 80");
  EXPECT_EQ(peer("https://prometheus"), "prometheus 443");
  EXPECT_EQ(peer("https://[::1]:9090/x"), "[::1] 9090");
  EXPECT_EQ(peer("http://[fd00::1]"), "[fd00::1] 80");
}

}  // namespace
}  // namespace holdfast::runner_test
