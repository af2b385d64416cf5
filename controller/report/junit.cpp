#include <fmt/format.h>

#include <algorithm>

#include "controller/report/markup.h"
#include "controller/report/writers.h"

namespace holdfast::report {
namespace {

struct Case {
  std::string name;
  const char* element = nullptr;  // "failure", "error"; null: passed
  std::string message;
};

std::vector<Case> cases_of(const RunReport& report) {
  std::vector<Case> cases;
  for (const ProbeReport& probe : report.probes) {
    for (const ProbeOutcome& outcome : probe.outcomes) {
      const char* element = outcome.status == verify::Status::miss      ? "failure"
                            : outcome.status == verify::Status::no_data ? "error"
                                                                        : nullptr;
      cases.push_back({fmt::format("probe {} ({})", probe.name, to_string(outcome.phase)), element,
                       outcome.detail});
    }
  }
  for (const ActionReport& action : report.actions) {
    cases.push_back(
        {"fault injected: " + action.name, action.proven ? nullptr : "error", action.proof});
  }
  if (report.recovery_asked && std::ranges::any_of(report.phases, [](const PhaseSpan& phase) {
        return phase.phase == Phase::recovering;
      })) {
    const bool in_time =
        report.recovery_seconds && *report.recovery_seconds <= report.recovery_within;
    cases.push_back({fmt::format("recovered within {:.1f} s", report.recovery_within),
                     in_time                               ? nullptr
                     : report.verdict == Verdict::breached ? "failure"
                                                           : "error",
                     report.recovery_seconds
                         ? fmt::format("took {:.1f} s", *report.recovery_seconds)
                         : "the probes did not hold again in that time"});
  }
  cases.push_back(
      {"host unchanged", report.host_differences.empty() ? nullptr : "failure", report.reason});
  bool red = false;
  for (const Case& one : cases) {
    red = red || one.element != nullptr;
  }
  // A run that did not hold never looks green, whatever its parts say.
  if (!red && report.verdict != Verdict::held) {
    cases.push_back(
        {"verdict", report.verdict == Verdict::breached ? "failure" : "error", report.reason});
  }
  return cases;
}

}  // namespace

std::string to_junit(const RunReport& report) {
  const std::vector<Case> cases = cases_of(report);
  int failures = 0, errors = 0;
  std::string body;
  for (const Case& one : cases) {
    body += fmt::format("  <testcase classname=\"holdfast.{}\" name=\"{}\"",
                        escape(report.experiment), escape(one.name));
    if (one.element == nullptr) {
      body += "/>\n";
      continue;
    }
    (one.element == std::string_view("failure") ? failures : errors)++;
    body += fmt::format(">\n    <{0} message=\"{1}\"/>\n  </testcase>\n", one.element,
                        escape(one.message));
  }
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"{}\" tests=\"{}\" "
      "failures=\"{}\" errors=\"{}\" time=\"{:.3f}\" timestamp=\"{}\">\n{}</testsuite>\n",
      escape(report.experiment), cases.size(), failures, errors, report.duration,
      escape(report.started_at), body);
}

}  // namespace holdfast::report
