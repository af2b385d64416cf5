#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/units.h"
#include "controller/report/html_chart.h"
#include "controller/report/html_summary.h"
#include "controller/report/markup.h"
#include "controller/report/writers.h"

namespace holdfast::report {
namespace {

// Below 600 px charts are drawn so small that their labels need twice the size, and tables become
// lists, each cell with the head of its column before it.
constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--ink:#1b1f24;--quiet:#5b6570;--paper:#fff;--line:#d8dee4;--fault:#f4c95d55;--series:#1f6feb;--bad:#c62828;--good:#1a7f37;--open:#9a6700}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--quiet:#9aa5b1;--paper:#12161c;--line:#2f3742;--fault:#a87b1c55;--series:#79b8ff;--bad:#ff7b72;--good:#56d364;--open:#e3b341}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:920px;margin:1.5rem auto;padding:0 1rem;overflow-wrap:break-word}
h1{font-size:1.4rem;line-height:1.25;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:1.4rem 0 .2rem}p{margin:.4rem 0}ul{padding-left:1.2rem}
.verdict{border-left:8px solid var(--open);padding:.4rem 1rem;margin:1rem 0}.verdict strong{font-size:1.6rem;color:var(--open)}
.verdict.held{border-color:var(--good)}.verdict.held strong,.yes{color:var(--good)}
.verdict.breached,.verdict.dirty{border-color:var(--bad)}.verdict.breached strong,.verdict.dirty strong,.no{color:var(--bad)}
table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
td,code{overflow-wrap:anywhere}.list th,.list td{min-width:5em}
.facts td:first-child{white-space:nowrap;color:var(--quiet);width:1%}.quiet,code{color:var(--quiet)}code{font-size:.85rem}
svg{width:100%;height:auto;display:block;overflow:visible}.tick{font:11px system-ui,sans-serif;fill:var(--quiet)}.grid{stroke:var(--line)}.phase{stroke:var(--quiet);stroke-dasharray:2 3}
.fault-window{fill:var(--fault)}.bound{stroke:var(--bad);stroke-dasharray:6 4}.series{fill:none;stroke:var(--series);stroke-width:1.6}.ok{fill:var(--series)}.miss{fill:var(--bad)}.no-data{fill:var(--quiet)}
@media(max-width:600px){.tick{font-size:22px}.wide-only{display:none}.series{stroke-width:3}.grid,.phase,.bound{stroke-width:2}
.list th{display:none}.list tr,.list td{display:block}.list td{border:0;padding:.1rem 0}.list tr{border-bottom:1px solid var(--line);padding:.4rem 0}.list td::before{content:attr(data-head) ": ";color:var(--quiet)}}
@media print{body{margin:0}}
)";

// A table whose cells know the head of their column, for screens on which it becomes a list.
class Table {
 public:
  explicit Table(std::vector<std::string> heads) : heads_(std::move(heads)) {
    html_ = "<table class=\"list\"><tr>";
    for (const std::string& head : heads_) {
      html_ += "<th>" + escape(head) + "</th>";
    }
    html_ += "</tr>";
  }
  // As many cells as heads. `classes`: of the cells, from the first on; may be fewer.
  void add(const std::vector<std::string>& cells, const std::vector<std::string>& classes = {}) {
    html_ += "<tr>";
    for (std::size_t i = 0; i < cells.size(); ++i) {
      html_ += fmt::format(
          "<td data-head=\"{}\"{}>{}</td>", escape(heads_.at(i)),
          i < classes.size() && !classes[i].empty() ? fmt::format(" class=\"{}\"", classes[i]) : "",
          escape(cells[i]));
    }
    html_ += "</tr>";
  }
  std::string html() const { return html_ + "</table>"; }

 private:
  std::vector<std::string> heads_;
  std::string html_;
};

std::string fact(const std::string& name, const std::string& value) {
  return value.empty()
             ? ""
             : fmt::format("<tr><td>{}</td><td>{}</td></tr>", escape(name), escape(value));
}

std::string window_of(const RunReport& report, const ActionReport& action) {
  if (!action.start) {
    return "never";
  }
  const double end = action.end.value_or(report.duration);
  return fmt::format("{:.1f} s to {:.1f} s ({} to {} UTC)", *action.start, end,
                     clock_time(report, *action.start), clock_time(report, end));
}

std::string proof_of(const ActionReport& action) {
  std::string proof = (action.proven ? "✓ " : "✗ ") + action.proof;
  if (action.counters.spared_packets > 0) {
    proof += fmt::format("; {} protected packets spared", action.counters.spared_packets);
  }
  if (action.requested_share && action.measured_share) {
    proof += fmt::format("; requested {:.4g} %, measured {:.4g} %", *action.requested_share * 100,
                         *action.measured_share * 100);
  }
  if (action.delay && action.delay->mean && action.delay->deviation) {
    proof += fmt::format(
        "; requested {:.4g} ms with a standard deviation of {:.4g} ms, measured {:.4g} ms with "
        "{:.4g} ms",
        action.delay->requested_mean * 1e3, action.delay->requested_deviation * 1e3,
        *action.delay->mean * 1e3, *action.delay->deviation * 1e3);
  }
  if (action.bandwidth && action.bandwidth->measured) {
    proof += fmt::format("; requested {}, measured {}", format_rate(action.bandwidth->requested),
                         format_rate(*action.bandwidth->measured));
  }
  return proof;
}

std::string actions_section(const RunReport& report) {
  Table table({"action", "fault", "proof", "when", "where", "which traffic", "by"});
  for (const ActionReport& action : report.actions) {
    table.add({action.name, action.fault, proof_of(action), window_of(report, action),
               action.target, action.match, action.mechanism},
              {"", "", action.proven ? "yes" : "no"});
  }
  return "<h2>Faults, and the proof that they were injected</h2>" + table.html();
}

std::string probe_section(const RunReport& report, const ProbeReport& probe) {
  std::string html =
      fmt::format("<h3>{}{}</h3><p class=\"quiet\">wanted {} · <code>{}</code></p>{}",
                  escape(probe.name), probe.stop_condition ? " (stop condition)" : "",
                  escape(probe.tolerance), escape(probe.query), draw_chart(report, probe));
  if (probe.outcomes.empty()) {
    return html;
  }
  Table table({"phase", "outcome", "why"});
  for (const ProbeOutcome& outcome : probe.outcomes) {
    table.add({std::string(to_string(outcome.phase)),
               std::string(verify::to_string(outcome.status)), outcome.detail},
              {"", outcome.status == verify::Status::ok ? "yes" : "no"});
  }
  return html + table.html();
}

std::string host_section(const RunReport& report) {
  if (report.host_differences.empty()) {
    return "<h2>Host</h2><p>Nothing differs from the snapshot that was taken before the run: "
           "links, "
           "qdiscs, filters and tcx programs of the targets' network namespaces.</p>";
  }
  Table table({"what", "where", "before", "after", "cure"});
  for (const HostDifference& one : report.host_differences) {
    table.add({one.what, one.where, one.before, one.after, one.cure});
  }
  return "<h2>Host: what differs from before the run</h2>" + table.html();
}

std::string facts_and_events(const RunReport& report) {
  std::string html = "<h2>Events</h2><table class=\"facts\">";
  for (const Event& event : report.events) {
    html +=
        fact(fmt::format("{} UTC · {:.1f} s", clock_time(report, event.at), event.at), event.text);
  }
  html += "</table><h2>Run</h2><table class=\"facts\">";
  html += fact("run", report.run_id) + fact("description", report.description) +
          fact("tags", fmt::format("{}", fmt::join(report.tags, ", "))) +
          fact("plan", report.plan_file) + fact("its SHA-256", report.plan_sha256) +
          fact("host", report.host) + fact("kernel", report.kernel) +
          fact("started", report.started_at) + fact("ended", report.ended_at) +
          fact("holdfast", report.holdfast_version) +
          fact("notes", fmt::format("{}", fmt::join(report.notes, "; ")));
  return html + "</table>";
}

}  // namespace

std::string to_html(const RunReport& report) {
  std::string html = fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\">"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'\"><title>{}: {}</title><style>{}</style></head><body>",
      to_string(report.verdict), escape(report.experiment), kStyle);
  html += draw_summary(report) + actions_section(report) +
          "<h2>Probes</h2><p class=\"quiet\">Seconds since the start of the run. Shaded: while a "
          "fault was injected. Dashed: the tolerance. Red: a miss. Grey marks below: no data.</p>";
  for (const ProbeReport& probe : report.probes) {
    html += probe_section(report, probe);
  }
  return html + host_section(report) + facts_and_events(report) + "</body></html>\n";
}

}  // namespace holdfast::report
