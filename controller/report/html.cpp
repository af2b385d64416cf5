#include <fmt/format.h>
#include <fmt/ranges.h>

#include "controller/report/html_chart.h"
#include "controller/report/markup.h"
#include "controller/report/writers.h"

namespace holdfast::report {
namespace {

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--ink:#1b1f24;--quiet:#5b6570;--paper:#fff;--line:#d8dee4;--fault:#f4c95d55;--series:#1f6feb;--bad:#c62828;--good:#1a7f37}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--quiet:#9aa5b1;--paper:#12161c;--line:#2f3742;--fault:#a87b1c55;--series:#79b8ff;--bad:#ff7b72;--good:#56d364}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:920px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:1.2rem 0 .2rem}
.verdict{border-left:8px solid var(--bad);padding:.6rem 1rem;margin:1rem 0}.verdict.held{border-color:var(--good)}.verdict strong{font-size:1.3rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
.scroll{overflow-x:auto}code,.quiet{color:var(--quiet)}code{overflow-wrap:anywhere}
svg{width:100%;height:auto}.tick{font:11px system-ui,sans-serif;fill:var(--quiet)}.grid{stroke:var(--line)}.phase{stroke:var(--quiet);stroke-dasharray:2 3}
.fault-window{fill:var(--fault)}.bound{stroke:var(--bad);stroke-dasharray:6 4}.series{fill:none;stroke:var(--series);stroke-width:1.6}.ok{fill:var(--series)}.miss{fill:var(--bad)}.no-data{fill:var(--quiet)}
@media print{body{margin:0}}
)";

std::string row(const std::vector<std::string>& cells) {
  std::string html = "<tr>";
  for (const std::string& cell : cells) {
    html += "<td>" + escape(cell) + "</td>";
  }
  return html + "</tr>";
}

std::string actions_table(const RunReport& report) {
  std::string html =
      "<h2>Faults and the proof that they were injected</h2><div "
      "class=\"scroll\"><table><tr><th>action</th><th>fault</th><th>where</th><th>which "
      "traffic</th><th>by</th><th>proof</th></tr>";
  for (const ActionReport& action : report.actions) {
    std::string proof = (action.proven ? "✓ " : "✗ ") + action.proof;
    if (action.requested_loss && action.measured_loss) {
      proof += fmt::format("; requested {:.4g} %, measured {:.4g} %", *action.requested_loss * 100,
                           *action.measured_loss * 100);
    }
    html += row({action.name, action.fault, action.target, action.match, action.mechanism, proof});
  }
  return html + "</table></div>";
}

std::string probe_section(const RunReport& report, const ProbeReport& probe) {
  std::string html =
      fmt::format("<h3>{}{}</h3><p class=\"quiet\">wanted {} · <code>{}</code></p>{}",
                  escape(probe.name), probe.stop_condition ? " (stop condition)" : "",
                  escape(probe.tolerance), escape(probe.query), draw_chart(report, probe));
  if (!probe.outcomes.empty()) {
    html += "<table><tr><th>phase</th><th>outcome</th><th>why</th></tr>";
    for (const ProbeOutcome& outcome : probe.outcomes) {
      html += row({std::string(to_string(outcome.phase)),
                   std::string(verify::to_string(outcome.status)), outcome.detail});
    }
    html += "</table>";
  }
  return html;
}

std::string host_section(const RunReport& report) {
  if (report.host_differences.empty()) {
    return "<h2>Host</h2><p>As before the run, or never touched.</p>";
  }
  std::string html =
      "<h2>Host: what "
      "differs</h2><table><tr><th>what</th><th>where</th><th>before</th><th>after</th><th>cure</"
      "th></tr>";
  for (const HostDifference& one : report.host_differences) {
    html += row({one.what, one.where, one.before, one.after, one.cure});
  }
  return html + "</table>";
}

std::string facts_and_events(const RunReport& report) {
  std::string html = "<h2>Events</h2><table>";
  for (const Event& event : report.events) {
    html += row({fmt::format("{:.1f} s", event.at), event.text});
  }
  html += "</table><h2>Run</h2><table>";
  html += row({"run", report.run_id}) + row({"plan", report.plan_file}) +
          row({"host", report.host}) + row({"kernel", report.kernel}) +
          row({"started", report.started_at}) + row({"ended", report.ended_at}) +
          row({"holdfast", report.holdfast_version}) +
          row({"notes", fmt::format("{}", fmt::join(report.notes, "; "))});
  return html + "</table>";
}

}  // namespace

std::string to_html(const RunReport& report) {
  const std::string verdict(to_string(report.verdict));
  std::string html = fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\">"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'\"><title>{0}: {1}</title><style>{2}</style></head><body>"
      "<h1>{3}</h1><p class=\"quiet\">{1}</p><div class=\"verdict "
      "{0}\"><strong>{0}</strong><br>{4}</div>",
      verdict, escape(report.experiment), kStyle,
      escape(report.title.empty() ? report.experiment : report.title), escape(report.reason));
  html += fmt::format("<p>Recovery: {} (objective {:.1f} s).</p>",
                      report.recovery_seconds ? fmt::format("{:.1f} s", *report.recovery_seconds)
                                              : "not reached or not timed",
                      report.recovery_within);
  html += actions_table(report) +
          "<h2>Probes</h2><p class=\"quiet\">Shaded: while a fault was injected. Dashed: the "
          "tolerance. Red: a miss. Grey marks below: no data.</p>";
  for (const ProbeReport& probe : report.probes) {
    html += probe_section(report, probe);
  }
  return html + host_section(report) + facts_and_events(report) + "</body></html>\n";
}

}  // namespace holdfast::report
