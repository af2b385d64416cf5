// The report writers, on runs that the end-to-end tests can hardly bring about.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "controller/report/writers.h"

namespace holdfast::report {
namespace {

using testing::HasSubstr;
using testing::Not;

int count(const std::string& text, const std::string& wanted) {
  int found = 0;
  for (auto at = text.find(wanted); at != std::string::npos; at = text.find(wanted, at + 1)) {
    ++found;
  }
  return found;
}

// A run of 30 s with one action from 10 to 20 s and one probe that is asked every second.
RunReport a_run(Verdict verdict) {
  RunReport report;
  report.run_id = "1";
  report.experiment = "shop";
  report.title = "The shop keeps selling";
  report.host = "node";
  report.started_at = "2026-01-31T23:59:45Z";
  report.duration = 30;
  report.verdict = verdict;
  report.reason = "because";
  report.phases = {
      {Phase::baseline, 0, 10}, {Phase::injecting, 10, 20}, {Phase::recovering, 20, 30}};
  ActionReport action;
  action.name = "cut";
  action.start = 10;
  action.end = 20;
  action.proven = true;
  action.proof = "7 of 7 matched packets dropped";
  report.actions = {action};
  ProbeReport probe;
  probe.name = "ratio";
  probe.tolerance = ">= 0.9";
  probe.bound = 0.9;
  for (int at = 0; at < 30; ++at) {
    probe.points.push_back({.at = static_cast<double>(at),
                            .phase = at < 10   ? Phase::baseline
                                     : at < 20 ? Phase::injecting
                                               : Phase::recovering,
                            .status = verify::Status::ok,
                            .value = 1.0,
                            .detail = "the sample is 1"});
  }
  probe.outcomes = {{Phase::injecting, verify::Status::ok, "the sample is 1"}};
  report.probes = {probe};
  report.recovery_seconds = 2;
  report.recovery_within = 15;
  return report;
}

void miss_at(RunReport& report, std::size_t second) {
  ProbePoint& point = report.probes[0].points[second];
  point.status = verify::Status::miss;
  point.value = 0.5;
}

TEST(JunitReport, RunThatHeldIsGreenAndNamesItsRecovery) {
  const std::string xml = to_junit(a_run(Verdict::held));
  EXPECT_THAT(xml, HasSubstr("tests=\"4\" failures=\"0\" errors=\"0\""));
  EXPECT_THAT(xml, HasSubstr("name=\"recovered within 15.0 s\"/>"));
}

TEST(JunitReport, LateRecoveryIsAFailure) {
  RunReport report = a_run(Verdict::breached);
  report.recovery_seconds = 15.5;
  const std::string xml = to_junit(report);
  EXPECT_THAT(xml, HasSubstr("failures=\"1\" errors=\"0\""));
  EXPECT_THAT(xml, HasSubstr("<failure message=\"took 15.5 s\"/>"));
}

TEST(JunitReport, NoRecoveryUnderAnotherVerdictIsAnError) {
  RunReport report = a_run(Verdict::inconclusive);
  report.recovery_seconds.reset();
  EXPECT_THAT(to_junit(report), HasSubstr("failures=\"0\" errors=\"1\""));
}

TEST(JunitReport, RunThatEndedBeforeHasNoRecoveryAndIsNotGreen) {
  RunReport report = a_run(Verdict::aborted);
  report.phases.pop_back();
  report.recovery_seconds.reset();
  const std::string xml = to_junit(report);
  EXPECT_THAT(xml, Not(HasSubstr("recovered within")));
  EXPECT_THAT(xml, HasSubstr("name=\"verdict\">\n    <error message=\"because\"/>"));
}

TEST(JsonReport, WhatJsonHasNoNumberForIsNull) {
  RunReport report = a_run(Verdict::held);
  report.probes[0].points[0].value = std::numeric_limits<double>::infinity();
  report.probes[0].points[1].value = std::nan("");
  report.recovery_seconds.reset();
  const auto json = nlohmann::json::parse(to_json(report));
  EXPECT_TRUE(json["probes"][0]["points"][0]["value"].is_null());
  EXPECT_TRUE(json["probes"][0]["points"][1]["value"].is_null());
  EXPECT_TRUE(json["recoverySeconds"].is_null());
}

TEST(Reports, BytesThatAreNoTextAndMarkupAreHarmless) {
  RunReport report = a_run(Verdict::held);
  report.title = "<script>alert(1)</script>\xff\x01";
  report.probes[0].name = "\"><img src=x>";
  EXPECT_TRUE(nlohmann::json::accept(to_json(report)));
  for (const std::string& text : {to_html(report), to_junit(report)}) {
    EXPECT_THAT(text, Not(HasSubstr("<script")));
    EXPECT_THAT(text, Not(HasSubstr("<img")));
    EXPECT_THAT(text, Not(HasSubstr("\xff")));
    EXPECT_THAT(text, Not(HasSubstr("\x01")));
  }
}

TEST(HtmlReport, SaysFirstWhatMissedAndWhen) {
  RunReport report = a_run(Verdict::breached);
  report.probes[0].failure_threshold = 2;
  miss_at(report, 12);  // alone: below the threshold
  miss_at(report, 16);
  miss_at(report, 17);
  report.probes[0].outcomes[0].status = verify::Status::miss;
  // 23:59:45 and 16 s: past midnight.
  EXPECT_THAT(to_html(report),
              HasSubstr("“ratio” missed from 00:00:01 UTC (16.0 s) on, 6.0 s after "
                        "“cut” began"));
}

TEST(HtmlReport, SaysThatNothingRecovered) {
  RunReport report = a_run(Verdict::breached);
  report.recovery_seconds.reset();
  EXPECT_THAT(to_html(report), HasSubstr("not recovered within the objective of 15.0 s"));
  report.phases.pop_back();
  EXPECT_THAT(to_html(report), HasSubstr("recovery was not timed"));
}

TEST(HtmlReport, ListsWhatDiffersOnTheHost) {
  RunReport report = a_run(Verdict::dirty);
  EXPECT_THAT(to_html(report), HasSubstr("Nothing differs"));
  report.host_differences = {
      {"qdisc", "eth0 clsact", "", "clsact", "tc qdisc del dev eth0 clsact"}};
  const std::string html = to_html(report);
  EXPECT_THAT(html, Not(HasSubstr("Nothing differs")));
  EXPECT_THAT(html, HasSubstr("tc qdisc del dev eth0 clsact"));
}

TEST(HtmlReport, DrawsWhatWasNeverInjectedOrNeverAnswered) {
  RunReport report = a_run(Verdict::inconclusive);
  report.actions[0].start.reset();
  report.actions[0].end.reset();
  report.probes[0].points.clear();
  report.phases.clear();
  report.duration = 0;
  const std::string html = to_html(report);
  EXPECT_EQ(count(html, "<svg"), 1);
  EXPECT_EQ(count(html, "class=\"fault-window\""), 0);
}

TEST(HtmlReport, ManyPointsAreALineAndMarksOfMissesOnly) {
  RunReport report = a_run(Verdict::breached);
  miss_at(report, 12);
  EXPECT_EQ(count(to_html(report), "<circle class=\"ok\""), 29);
  const std::vector<ProbePoint> some = report.probes[0].points;
  for (int i = 0; i < 99; ++i) {
    report.probes[0].points.insert(report.probes[0].points.end(), some.begin(), some.end());
  }
  const std::string html = to_html(report);
  EXPECT_EQ(count(html, "<circle class=\"ok\""), 0);
  EXPECT_EQ(count(html, "<circle class=\"miss\""), 100);
}

}  // namespace
}  // namespace holdfast::report
