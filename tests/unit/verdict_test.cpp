// Every verdict, and which of them outweighs which.
#include "controller/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using report::Phase;
using report::Verdict;
using ::testing::AllOf;
using ::testing::HasSubstr;
using verify::Status;

report::RunReport held_report() {
  report::RunReport report;
  report::ActionReport action;
  action.name = "cut";
  action.proven = true;
  action.proof = "3 of 3 matched packets dropped";
  report.actions = {action};
  report::ProbeReport probe;
  probe.name = "sells";
  for (const Phase phase : {Phase::baseline, Phase::injecting, Phase::recovering}) {
    probe.outcomes.push_back({phase, Status::ok, ""});
  }
  report.probes = {probe};
  report.recovery_seconds = 0.5;
  report.recovery_within = 1;
  return report;
}

TEST(Verdict, Held) {
  EXPECT_EQ(judge_run(held_report(), {}).verdict, Verdict::held);
}

TEST(Verdict, RecoveryOnTheDotIsInTimeAndAMomentLaterIsNot) {
  report::RunReport report = held_report();
  report.recovery_seconds = report.recovery_within;
  EXPECT_EQ(judge_run(report, {}).verdict, Verdict::held);
  report.recovery_seconds = 1.26;
  const Judgement late = judge_run(report, {});
  EXPECT_EQ(late.verdict, Verdict::breached);
  EXPECT_THAT(late.reason, AllOf(HasSubstr("1.3 s"), HasSubstr("1.0 s")));
  report.recovery_seconds.reset();
  EXPECT_EQ(judge_run(report, {}).verdict, Verdict::breached);
  report.recovery_asked = false;
  EXPECT_EQ(judge_run(report, {}).verdict, Verdict::held);
}

// The worst of what is true decides: each step adds one that outweighs all before it.
TEST(Verdict, Precedence) {
  report::RunReport report = held_report();
  RunEnd end;
  report.recovery_seconds = 9;
  EXPECT_EQ(judge_run(report, end).verdict, Verdict::breached);
  report.probes[0].outcomes[2] = {Phase::recovering, Status::no_data, "stale"};
  EXPECT_EQ(judge_run(report, end).verdict, Verdict::inconclusive);
  EXPECT_THAT(judge_run(report, end).reason,
              AllOf(HasSubstr("\"sells\""), HasSubstr("stale"), HasSubstr("after the fault")));
  report.probes[0].outcomes[1] = {Phase::injecting, Status::miss, "0.2, not >= 1"};
  EXPECT_EQ(judge_run(report, end).verdict, Verdict::breached);
  EXPECT_THAT(judge_run(report, end).reason,
              AllOf(HasSubstr("0.2, not >= 1"), HasSubstr("while the fault was injected")));
  report.actions[0].proven = false;
  report.actions[0].proof = "no packet matched";
  EXPECT_EQ(judge_run(report, end).verdict, Verdict::not_injected);
  EXPECT_THAT(judge_run(report, end).reason, AllOf(HasSubstr("\"cut\""), HasSubstr("no packet")));
  end.inconclusive = "no steady state before";
  EXPECT_EQ(judge_run(report, end).verdict, Verdict::inconclusive);
  EXPECT_EQ(judge_run(report, end).reason, end.inconclusive);
  end.aborted = "ended by a signal";
  EXPECT_EQ(judge_run(report, end).verdict, Verdict::aborted);
  EXPECT_EQ(judge_run(report, end).reason, end.aborted);
  report.host_differences = {{"qdisc", "clsact on eth0", "", "clsact", ""},
                             {"link", "eth1", "up", "down", ""}};
  EXPECT_EQ(judge_run(report, end).verdict, Verdict::dirty);
  EXPECT_THAT(judge_run(report, end).reason,
              AllOf(HasSubstr("2 things"), HasSubstr("qdisc clsact on eth0")));
}

TEST(Verdict, OneActionOfSeveralThatHitNothingIsEnough) {
  report::RunReport report = held_report();
  report.actions.push_back(report.actions[0]);
  report.actions[1].name = "lose";
  report.actions[1].proven = false;
  EXPECT_EQ(judge_run(report, {}).verdict, Verdict::not_injected);
  EXPECT_THAT(judge_run(report, {}).reason, HasSubstr("\"lose\""));
}

TEST(Verdict, ExitCodes) {
  EXPECT_EQ(report::exit_code(Verdict::held), 0);
  EXPECT_EQ(report::exit_code(Verdict::breached), 1);
  EXPECT_EQ(report::exit_code(Verdict::not_injected), 3);
  EXPECT_EQ(report::exit_code(Verdict::inconclusive), 4);
  EXPECT_EQ(report::exit_code(Verdict::aborted), 5);
  EXPECT_EQ(report::exit_code(Verdict::dirty), 6);
  EXPECT_EQ(report::to_string(Verdict::not_injected), "not-injected");
}

}  // namespace
}  // namespace holdfast
