#include <fmt/format.h>

#include "common/printable.h"
#include "controller/report/writers.h"

namespace holdfast::report {

std::string to_terminal(const RunReport& report, bool colour) {
  const char* paint = !colour ? "" : report.verdict == Verdict::held ? "\033[1;32m" : "\033[1;31m";
  std::string text =
      fmt::format("{}verdict: {}{} (exit {})\n{}\n", paint, to_string(report.verdict),
                  colour ? "\033[0m" : "", exit_code(report.verdict), printable(report.reason));
  for (const ActionReport& action : report.actions) {
    text += fmt::format("  fault     {:<12} {}: {}\n", action.proven ? "injected" : "NOT INJECTED",
                        printable(action.name), printable(action.proof));
  }
  for (const ProbeReport& probe : report.probes) {
    for (const ProbeOutcome& outcome : probe.outcomes) {
      text +=
          fmt::format("  probe     {:<12} {}, {}: {}\n", verify::to_string(outcome.status),
                      printable(probe.name), to_string(outcome.phase), printable(outcome.detail));
    }
  }
  if (report.recovery_seconds) {
    text += fmt::format("  recovery  {:.1f} s (objective {:.1f} s)\n", *report.recovery_seconds,
                        report.recovery_within);
  }
  if (report.host_differences.empty()) {
    text += "  host      as before\n";
  }
  for (const HostDifference& one : report.host_differences) {
    text += fmt::format("  host      {} {}: was \"{}\", is \"{}\"; {}\n", printable(one.what),
                        printable(one.where), printable(one.before), printable(one.after),
                        printable(one.cure));
  }
  return text;
}

}  // namespace holdfast::report
