#include "cli/progress.h"

#include <fmt/format.h>

#include <ostream>

#include "common/printable.h"

namespace holdfast::cli {
namespace {

std::string describe(const ProbeStatus& probe) {
  const std::string value = probe.latest.value ? fmt::format("{:.4g}", *probe.latest.value) : "-";
  return fmt::format("{:<8} {} = {} (wanted {})", verify::to_string(probe.latest.status),
                     printable(probe.name), value, probe.tolerance);
}

}  // namespace

void Progress::erase() {
  if (drawn_lines_ > 0) {
    out_ << fmt::format("\033[{}A\033[J", drawn_lines_);
    drawn_lines_ = 0;
  }
}

void Progress::on_event(double at, const std::string& text) {
  erase();
  out_ << fmt::format("{:7.1f} s  {}\n", at, printable(text)) << std::flush;
}

void Progress::on_status(const RunStatus& status) {
  if (!terminal_) {
    for (const ProbeStatus& probe : status.probes) {
      if (!probe.evaluated) {
        continue;
      }
      const auto [known, first] = said_.try_emplace(probe.name, probe.latest.status);
      if (first || known->second != probe.latest.status) {
        known->second = probe.latest.status;
        out_ << fmt::format("           {}\n", describe(probe)) << std::flush;
      }
    }
    return;
  }
  erase();
  out_ << fmt::format("  {} · at most {:.0f} s left\n", report::to_string(status.phase),
                      status.left);
  for (const ProbeStatus& probe : status.probes) {
    out_ << fmt::format("  {}\n", probe.evaluated
                                      ? describe(probe)
                                      : fmt::format("{:<8} {}", "…", printable(probe.name)));
  }
  for (const ActionStatus& action : status.actions) {
    out_ << fmt::format("  {:<8} {}: {} matched, {} dropped, {} answered\n",
                        action.live ? fmt::format("{:.0f} s", action.left) : "-",
                        printable(action.name), action.counters.matched_packets,
                        action.counters.dropped_packets, action.counters.answered_packets);
  }
  drawn_lines_ = 1 + static_cast<int>(status.probes.size() + status.actions.size());
  out_ << std::flush;
}

}  // namespace holdfast::cli
