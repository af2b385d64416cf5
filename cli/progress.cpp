#include "cli/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <vector>

#include "common/printable.h"

namespace holdfast::cli {
namespace {

std::string describe(const ProbeStatus& probe) {
  const std::string value = probe.latest.value ? fmt::format("{:.4g}", *probe.latest.value) : "-";
  return fmt::format("{:<8} {} = {} (wanted {})", verify::to_string(probe.latest.status),
                     printable(probe.name), value, probe.tolerance);
}

std::string describe(const ActionStatus& action) {
  return fmt::format("{:<8} {}: {} matched, {} dropped, {} answered",
                     action.live ? fmt::format("{:.0f} s", action.left) : "-",
                     printable(action.name), action.counters.matched_packets,
                     action.counters.dropped_packets, action.counters.answered_packets);
}

struct Line {
  std::string text;
  bool urgent;  // what a reader must see
};

// Leaves at most `count` lines, in their order, the urgent ones before the others. Returns how many
// were left out.
std::size_t keep(std::vector<Line>& lines, int count) {
  std::size_t left_out = 0;
  for (const bool urgent : {false, true}) {
    while (static_cast<int>(lines.size()) > count) {
      const auto last = std::find_if(lines.rbegin(), lines.rend(),
                                     [urgent](const Line& line) { return line.urgent == urgent; });
      if (last == lines.rend()) {
        break;
      }
      lines.erase(std::next(last).base());
      ++left_out;
    }
  }
  return left_out;
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
  if (rows_) {
    draw(status);
  } else {
    say_changes(status);
  }
}

void Progress::say_changes(const RunStatus& status) {
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
}

void Progress::draw(const RunStatus& status) {
  std::vector<Line> lines;
  lines.reserve(status.probes.size() + status.actions.size());
  for (const ProbeStatus& probe : status.probes) {
    lines.push_back(
        {probe.evaluated ? describe(probe) : fmt::format("{:<8} {}", "…", printable(probe.name)),
         probe.evaluated && probe.latest.status != verify::Status::ok});
  }
  for (const ActionStatus& action : status.actions) {
    lines.push_back({describe(action), action.live});
  }
  const int rows = rows_();
  // The head, the line that the cursor is in, and the one that says how many are left out.
  constexpr int kOthers = 3;
  const std::size_t left_out = rows > 0 ? keep(lines, std::max(rows - kOthers, 1)) : 0;
  erase();
  // Lines that are too long are cut by the terminal: wrapped ones would be miscounted.
  out_ << "\033[?7l"
       << "  " << report::to_string(status.phase);
  if (status.left >= 0.5) {
    out_ << fmt::format(" · at most {:.0f} s left", status.left);
  }
  out_ << "\n";
  for (const Line& line : lines) {
    out_ << "  " << line.text << "\n";
  }
  if (left_out > 0) {
    out_ << fmt::format("  … and {} more\n", left_out);
  }
  drawn_lines_ = 1 + static_cast<int>(lines.size()) + (left_out > 0 ? 1 : 0);
  out_ << "\033[?7h" << std::flush;
}

}  // namespace holdfast::cli
