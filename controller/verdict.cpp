#include "controller/verdict.h"

#include <fmt/format.h>

#include <algorithm>

namespace holdfast {
namespace {

using report::Phase;
using report::Verdict;

struct Found {
  const report::ProbeReport* probe = nullptr;
  const report::ProbeOutcome* outcome = nullptr;
};

Found find_outcome(const report::RunReport& report, verify::Status status) {
  for (const report::ProbeReport& probe : report.probes) {
    for (const report::ProbeOutcome& outcome : probe.outcomes) {
      if (outcome.status == status) {
        return {&probe, &outcome};
      }
    }
  }
  return {};
}

std::string phase_words(Phase phase) {
  switch (phase) {
    case Phase::injecting:
      return "while the fault was injected";
    case Phase::recovering:
    case Phase::settled:
      return "after the fault was removed";
    default:
      return "before anything was injected";
  }
}

std::string describe(const Found& found, const char* verb) {
  return fmt::format("probe \"{}\" {} {}: {}", found.probe->name, verb,
                     phase_words(found.outcome->phase), found.outcome->detail);
}

}  // namespace

Judgement judge_run(const report::RunReport& report, const RunEnd& end) {
  if (!report.host_differences.empty()) {
    const auto& first = report.host_differences.front();
    return {Verdict::dirty,
            fmt::format("the host differs from its snapshot in {} thing{}, first: {} {}",
                        report.host_differences.size(),
                        report.host_differences.size() == 1 ? "" : "s", first.what, first.where)};
  }
  if (!end.aborted.empty()) {
    return {Verdict::aborted, end.aborted};
  }
  if (!end.inconclusive.empty()) {
    return {Verdict::inconclusive, end.inconclusive};
  }
  const auto unproven =
      std::find_if(report.actions.begin(), report.actions.end(),
                   [](const report::ActionReport& action) { return !action.proven; });
  if (unproven != report.actions.end()) {
    return {Verdict::not_injected,
            fmt::format("action \"{}\" hit no traffic ({}): this says nothing about the failsafe",
                        unproven->name, unproven->proof)};
  }
  if (const Found miss = find_outcome(report, verify::Status::miss); miss.probe != nullptr) {
    return {Verdict::breached, describe(miss, "missed its tolerance")};
  }
  if (const Found blind = find_outcome(report, verify::Status::no_data); blind.probe != nullptr) {
    return {Verdict::inconclusive, describe(blind, "had no data")};
  }
  if (report.recovery_asked &&
      (!report.recovery_seconds || *report.recovery_seconds > report.recovery_within)) {
    return {
        Verdict::breached,
        report.recovery_seconds
            ? fmt::format("recovery took {:.1f} s, the objective is {:.1f} s",
                          *report.recovery_seconds, report.recovery_within)
            : fmt::format("the probes did not hold again within {:.1f} s", report.recovery_within)};
  }
  return {Verdict::held,
          fmt::format("every probe met its tolerance, every fault was proven injected, and {}",
                      report.recovery_asked ? "recovery was in time"
                                            : "no probe is asked after the fault")};
}

}  // namespace holdfast
