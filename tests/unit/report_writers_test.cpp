// Reports out of whatever a plan, a Prometheus or a kernel may say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "controller/report/writers.h"
#include "tests/unit/xml_reader.h"

namespace holdfast::report {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using verify::Status;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNaN = std::nan("");

// All that markup, JSON or a terminal could take for something else.
const std::vector<std::string> kHostile = {
    "]]>",
    "</script><script>alert(1)</script>",
    "--><!--",
    "\"'&<>",
    "\" onload=\"alert(1)",
    std::string("nul\0inside", 10),
    "\x01\x02\x08\x0b\x0c\x0e\x1f\x7f",
    "\033]0;title\007\033[2J",
    "\xff\xfe\x80 \xc3 \xe2\x82",           // not UTF-8
    "\xed\xa0\x80",                         // a surrogate
    "\xc0\xaf",                             // overlong
    "\xef\xbf\xbe \xef\xbf\xbf",            // U+FFFE and U+FFFF, which XML forbids
    "\xf4\x90\x80\x80",                     // beyond Unicode
    "Grüße \xf0\x9f\x94\xa5 \u202e\u0085",  // fine, if strange
    "line\nline\r\ttab",
    "{} {0} {:d} %s %n",
    std::string(100'000, 'x'),
};

RunReport report_with(const std::string& text) {
  RunReport report;
  report.run_id = report.holdfast_version = report.plan_file = report.plan_sha256 = text;
  report.experiment = report.title = report.description = report.host = report.kernel = text;
  report.started_at = report.ended_at = report.reason = text;
  report.tags = report.notes = {text, text};
  report.verdict = Verdict::breached;
  report.duration = 10;
  report.phases = {{Phase::baseline, 0, 2}, {Phase::injecting, 2, 8}, {Phase::recovering, 8, 10}};
  ActionReport action;
  action.name = action.fault = action.fault_kind = action.target = action.match = text;
  action.mechanism = action.proof = text;
  action.interfaces = {text};
  action.start = 2;
  action.end = 8;
  action.counters = {.matched_packets = std::numeric_limits<std::uint64_t>::max(),
                     .matched_bytes = 2,
                     .dropped_packets = 3,
                     .dropped_bytes = 4,
                     .answered_packets = 5,
                     .spared_packets = 6};
  action.requested_share = 0.1;
  action.measured_share = 0.25;
  report.actions = {action};
  ProbeReport probe;
  probe.name = probe.query = probe.tolerance = text;
  probe.bound = 1;
  probe.when = {text};
  probe.points = {{1, Phase::baseline, Status::ok, 1.5, text},
                  {3, Phase::injecting, Status::miss, 0.5, text},
                  {4, Phase::injecting, Status::no_data, std::nullopt, text}};
  probe.outcomes = {{Phase::baseline, Status::ok, text},
                    {Phase::injecting, Status::miss, text},
                    {Phase::recovering, Status::no_data, text}};
  report.probes = {probe};
  report.recovery_seconds = 3;
  report.recovery_within = 1;
  report.host_differences = {{text, text, text, text, text}};
  report.events = {{1, text}};
  return report;
}

TEST(ReportWriters, JsonIsReadAgainWhateverIsInIt) {
  for (const std::string& text : kHostile) {
    const json read = json::parse(to_json(report_with(text)), nullptr, false);
    ASSERT_TRUE(read.is_object()) << text.substr(0, 40);
    EXPECT_EQ(read["schema"], "holdfast.report/v1");
  }
}

TEST(ReportWriters, JsonHasEverything) {
  const json read = json::parse(to_json(report_with("text")));
  for (const char* key :
       {"runId", "holdfastVersion", "planFile", "planSha256", "experiment", "title", "description",
        "host", "kernel", "startedAt", "endedAt", "reason"}) {
    EXPECT_EQ(read.at(key), "text") << key;
  }
  EXPECT_EQ(read["verdict"], "breached");
  EXPECT_EQ(read["exitCode"], 1);
  EXPECT_EQ(read["tags"].size(), 2U);
  EXPECT_EQ(read["phases"].size(), 3U);
  EXPECT_EQ(read["recoverySeconds"], 3);
  EXPECT_EQ(read["recoveryWithin"], 1);
  const json& action = read["actions"].at(0);
  EXPECT_EQ(action["counters"]["matchedPackets"], std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(action["counters"]["sparedPackets"], 6);
  EXPECT_EQ(action["start"], 2);
  EXPECT_EQ(action["end"], 8);
  EXPECT_EQ(action["proven"], false);
  EXPECT_EQ(action["requestedShare"], 0.1);
  EXPECT_EQ(action["measuredShare"], 0.25);
  const json& probe = read["probes"].at(0);
  EXPECT_EQ(probe["points"].size(), 3U);
  EXPECT_EQ(probe["points"][1]["value"], 0.5);
  EXPECT_TRUE(probe["points"][2]["value"].is_null());
  EXPECT_EQ(probe["outcomes"][1]["status"], "miss");
  EXPECT_EQ(read["hostDifferences"][0]["cure"], "text");
  EXPECT_EQ(read["events"][0]["text"], "text");
}

TEST(ReportWriters, JUnitIsWellFormedWhateverIsInIt) {
  for (const std::string& text : kHostile) {
    const std::string xml = to_junit(report_with(text));
    const test::XmlOutcome read = test::read_xml(xml);
    ASSERT_EQ(read.error, "") << text.substr(0, 40);
    EXPECT_EQ(read.elements.front().name, "testsuite");
  }
}

TEST(ReportWriters, JUnitCountsItsCases) {
  const test::XmlOutcome read = test::read_xml(to_junit(report_with("text")));
  ASSERT_EQ(read.error, "");
  int tests = 0, failures = 0, errors = 0;
  for (const test::XmlElement& element : read.elements) {
    tests += element.name == "testcase" ? 1 : 0;
    failures += element.name == "failure" ? 1 : 0;
    errors += element.name == "error" ? 1 : 0;
  }
  const auto& suite = read.elements.front().attributes;
  EXPECT_EQ(suite.at("tests"), std::to_string(tests));
  EXPECT_EQ(suite.at("failures"), std::to_string(failures));
  EXPECT_EQ(suite.at("errors"), std::to_string(errors));
  EXPECT_EQ(tests, 6);     // three outcomes, the fault, the recovery, the host
  EXPECT_EQ(failures, 3);  // the miss, the recovery, the host
  EXPECT_EQ(errors, 2);    // no data, not injected
}

TEST(ReportWriters, JUnitIsGreenForHeldAlone) {
  RunReport report;
  for (const Verdict verdict : {Verdict::held, Verdict::breached, Verdict::not_injected,
                                Verdict::inconclusive, Verdict::aborted, Verdict::dirty}) {
    report.verdict = verdict;
    const test::XmlOutcome read = test::read_xml(to_junit(report));
    const auto& suite = read.elements.front().attributes;
    EXPECT_EQ(suite.at("failures") == "0" && suite.at("errors") == "0", verdict == Verdict::held)
        << to_string(verdict);
  }
}

// No text of a report becomes markup: the tags are those of the same report with harmless text.
TEST(ReportWriters, HtmlHasNoMarkupOfOthers) {
  const auto tags = [](const std::string& html) {
    std::vector<std::string> names;
    for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
      names.push_back(html.substr(at, html.find_first_of(" >", at) - at));
    }
    return names;
  };
  const auto wanted = tags(to_html(report_with("text")));
  EXPECT_THAT(wanted, Not(::testing::Contains("<script")));
  for (const std::string& text : kHostile) {
    const std::string html = to_html(report_with(text));
    EXPECT_EQ(tags(html), wanted) << text.substr(0, 40);
    EXPECT_THAT(html, Not(HasSubstr("onload=\"")));
    EXPECT_THAT(html, Not(HasSubstr("http://"))) << "nothing is loaded from elsewhere";
  }
}

TEST(ReportWriters, NumbersThatAreNone) {
  for (const double odd : {kNaN, kInfinity, -kInfinity, 1e308, -1e308, 5e-324, 0.0}) {
    RunReport report = report_with("text");
    report.probes[0].bound = odd;
    report.probes[0].points.push_back({5, Phase::injecting, Status::miss, odd, ""});
    report.probes[0].points.push_back({6, Phase::injecting, Status::miss, -odd, ""});
    report.actions[0].measured_share = odd;
    ASSERT_TRUE(json::accept(to_json(report))) << odd;
    ASSERT_EQ(test::read_xml(to_junit(report)).error, "") << odd;
    const std::string html = to_html(report);
    const std::string svg = html.substr(html.find("<svg"), html.find("</svg>") - html.find("<svg"));
    EXPECT_THAT(svg, Not(HasSubstr("nan"))) << odd;
    EXPECT_THAT(svg, Not(HasSubstr("inf\""))) << odd;
    EXPECT_FALSE(to_terminal(report, true).empty());
  }
}

// Where a step is less than what a double can tell apart, an axis must still come to an end.
TEST(ReportWriters, ValuesThatLieClose) {
  RunReport report = report_with("text");
  for (const double base : {1.7e18, 1e16, 1e300, -1.7e18}) {
    report.probes[0].bound = base;
    report.probes[0].points = {
        {1, Phase::baseline, Status::ok, base, ""},
        {2, Phase::baseline, Status::ok, std::nextafter(base, kInfinity), ""}};
    EXPECT_LT(to_html(report).size(), 100'000U);
  }
}

TEST(ReportWriters, AReportOfNothing) {
  const RunReport report;
  EXPECT_TRUE(json::accept(to_json(report)));
  EXPECT_EQ(test::read_xml(to_junit(report)).error, "");
  EXPECT_THAT(to_html(report), HasSubstr("inconclusive"));
  EXPECT_THAT(to_terminal(report, false), HasSubstr("verdict: inconclusive (exit 4)"));
}

// A name or a label of Prometheus must not steer the terminal, nor make lines of its own.
TEST(ReportWriters, TheTerminalIsSteeredByNobodyElse) {
  const auto lines = [](const std::string& text) { return std::ranges::count(text, '\n'); };
  const auto wanted = lines(to_terminal(report_with("text"), false));
  for (const std::string& hostile : kHostile) {
    const std::string text = to_terminal(report_with(hostile), false);
    for (const char c : text) {
      ASSERT_TRUE(c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f))
          << hostile.substr(0, 40);
    }
    EXPECT_THAT(text, Not(HasSubstr("\xc2\x85"))) << "C1 control characters are obeyed, too";
    EXPECT_EQ(lines(text), wanted) << hostile.substr(0, 40);
  }
  EXPECT_THAT(to_terminal(report_with("x"), true), HasSubstr("\033["));
}

TEST(ReportWriters, FilesAppearWholeOrNotAtAll) {
  std::string pattern = fs::temp_directory_path() / "report-XXXXXX";
  const fs::path directory = ::mkdtemp(pattern.data());
  const RunReport report = report_with("text");
  ASSERT_TRUE(write_all(report, directory / "deep" / "er"));
  ASSERT_TRUE(write_all(report, directory / "deep" / "er")) << "over what is there";
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& file : fs::directory_iterator(directory / "deep" / "er")) {
    ++files;
  }
  EXPECT_EQ(files, 3U);
  std::ifstream file(directory / "deep" / "er" / "report.json");
  EXPECT_EQ((std::string{std::istreambuf_iterator<char>(file), {}}), to_json(report));

  std::ofstream(directory / "file") << "in the way";
  const auto refused = write_all(report, directory / "file");
  EXPECT_FALSE(refused);
  fs::create_directories(directory / "taken" / "report.json.new");
  const auto taken = write_all(report, directory / "taken");
  ASSERT_FALSE(taken);
  EXPECT_THAT(taken.error().message, Not(HasSubstr("Success")));
  fs::remove_all(directory);
}

}  // namespace
}  // namespace holdfast::report
