#include "controller/report/html_summary.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <vector>

#include "controller/report/markup.h"

namespace holdfast::report {
namespace {

struct FirstMiss {
  const ProbeReport* probe = nullptr;
  const ProbePoint* point = nullptr;
};

// Of each probe that missed: with which evaluation it began. Single misses below the failure
// threshold are none.
std::vector<FirstMiss> first_misses(const RunReport& report) {
  std::vector<FirstMiss> found;
  for (const ProbeReport& probe : report.probes) {
    for (const ProbeOutcome& outcome : probe.outcomes) {
      if (outcome.status != verify::Status::miss) {
        continue;
      }
      int row = 0;
      for (const ProbePoint& point : probe.points) {
        const bool miss = point.phase == outcome.phase && point.status == verify::Status::miss;
        row = miss ? row + 1 : 0;
        if (row == std::max(probe.failure_threshold, 1)) {
          found.push_back({&probe, &point - (row - 1)});
          break;
        }
      }
    }
  }
  std::ranges::stable_sort(found, {}, [](const FirstMiss& one) { return one.point->at; });
  return found;
}

// " 2.0 s after "cut off server a" began": the fault that began last before it.
std::string since_fault(const RunReport& report, double at) {
  const ActionReport* last = nullptr;
  for (const ActionReport& action : report.actions) {
    if (action.start && *action.start <= at && (last == nullptr || *action.start > *last->start)) {
      last = &action;
    }
  }
  return last == nullptr
             ? ""
             : fmt::format(", {:.1f} s after “{}” began", at - *last->start, last->name);
}

std::string recovery_line(const RunReport& report) {
  if (report.recovery_seconds) {
    return fmt::format("recovered {:.1f} s after the last fault was removed (objective {:.1f} s)",
                       *report.recovery_seconds, report.recovery_within);
  }
  if (!report.recovery_asked) {
    return "recovery was not timed: no probe is asked after the fault";
  }
  const bool waited = std::ranges::any_of(
      report.phases, [](const PhaseSpan& span) { return span.phase == Phase::recovering; });
  return waited
             ? fmt::format("not recovered within the objective of {:.1f} s", report.recovery_within)
             : "recovery was not timed: the run ended before";
}

}  // namespace

std::string clock_time(const RunReport& report, double at) {
  std::tm utc{};
  const char* end = ::strptime(report.started_at.c_str(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  if (end == nullptr) {
    return "";
  }
  const std::time_t time = ::timegm(&utc) + static_cast<std::time_t>(std::floor(at));
  return fmt::format("{:%H:%M:%S}", fmt::gmtime(time));
}

std::string draw_summary(const RunReport& report) {
  const std::string verdict(to_string(report.verdict));
  std::string html = fmt::format(
      "<div class=\"verdict {0}\"><strong>{0}</strong> <span class=\"quiet\">exit code "
      "{1}</span><p>{2}</p></div><h1>{3}</h1><p class=\"quiet\">{4} · {5}{6}</p><ul>",
      verdict, exit_code(report.verdict), escape(report.reason),
      escape(report.title.empty() ? report.experiment : report.title), escape(report.experiment),
      escape(report.host), report.started_at.empty() ? "" : " · " + escape(report.started_at));
  for (const FirstMiss& miss : first_misses(report)) {
    html += fmt::format("<li>{}</li>",
                        escape(fmt::format("“{}” missed from {} UTC ({:.1f} s) on{}",
                                           miss.probe->name, clock_time(report, miss.point->at),
                                           miss.point->at, since_fault(report, miss.point->at))));
  }
  return html + "<li>" + escape(recovery_line(report)) + "</li></ul>";
}

}  // namespace holdfast::report
