#include "cli/doctor_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "cli/manual.h"

namespace holdfast::cli {

namespace {

using agent::Examination;
using agent::Finding;
using agent::FindingStatus;

constexpr std::size_t kFoundColumn = 28;  // status (10) and title (18) stand before it

std::string_view colour_of(FindingStatus status) {
  switch (status) {
    case FindingStatus::ok:
      return "\033[32m";
    case FindingStatus::degraded:
      return "\033[33m";
    case FindingStatus::missing:
      return "\033[1;31m";
  }
  return "";
}

// Padded before it is coloured: the escape sequences take no room on the screen.
std::string status_cell(FindingStatus status, bool colour) {
  const std::string cell = fmt::format("{:<10}", to_string(status));
  return colour ? fmt::format("{}{}\033[0m", colour_of(status), cell) : cell;
}

// `text` in the third column, its first line beside what stands before it.
std::string beside(const std::string& before, const std::string& text) {
  const std::string wrapped = wrap(text, kFoundColumn);
  return wrapped.empty() ? before + '\n' : before + wrapped.substr(kFoundColumn);
}

}  // namespace

std::string doctor_table(const Examination& examination, bool colour) {
  std::string table;
  for (const Finding& finding : examination.findings) {
    table += beside(status_cell(finding.status, colour) + fmt::format("{:<18}", finding.title),
                    finding.found);
    if (finding.status == FindingStatus::ok) {
      continue;
    }
    const std::string margin(10, ' ');
    table += beside(margin + fmt::format("{:<18}", "  consequence"), finding.consequence);
    if (!finding.cure.empty()) {
      table += beside(
          margin + fmt::format("{:<18}",
                               finding.status == FindingStatus::missing ? "  cure" : "  instead"),
          finding.cure);
    }
  }
  // In one piece, however long: this is the line that people search for and paste.
  return table + "\nverdict: " + examination.verdict + '\n';
}

std::string doctor_json(const Examination& examination, const std::string& kernel_release) {
  auto findings = nlohmann::ordered_json::array();
  for (const Finding& finding : examination.findings) {
    findings.push_back({{"id", finding.id},
                        {"title", finding.title},
                        {"status", to_string(finding.status)},
                        {"found", finding.found},
                        {"consequence", finding.consequence},
                        {"cure", finding.cure}});
  }
  const nlohmann::ordered_json document{{"schema", "holdfast.doctor/v1"},
                                        {"kernel", kernel_release},
                                        {"can_inject", examination.can_inject},
                                        {"mechanism", examination.mechanism},
                                        {"faults", examination.faults},
                                        {"verdict", examination.verdict},
                                        {"findings", findings}};
  return document.dump(2) + '\n';
}

}  // namespace holdfast::cli
