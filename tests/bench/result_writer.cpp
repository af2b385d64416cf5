#include "tests/bench/result_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace holdfast::bench {
namespace {

constexpr std::size_t kColumns = 7;
using Row = std::array<std::string, kColumns>;

const Row kHeader = {"figure", "median", "p10 to p90", "p99", "min to max", "target", "verdict"};

// Three digits tell these figures apart; more would be noise.
std::string number(double value) {
  const double size = std::abs(value);
  const int digits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return fmt::format("{:.{}f}", value, digits);
}

std::string with_unit(const std::string& text, const Figure& figure) {
  return figure.unit == "ratio" ? text : text + " " + figure.unit;
}

Row row_of(const Figure& figure) {
  const Summary all = figure.summary();
  Row row = {
      figure.name,
      with_unit(number(all.median), figure),
      fmt::format("{} to {}", number(all.p10), number(all.p90)),
      number(all.p99),
      fmt::format("{} to {} ({} samples)", number(all.min), number(all.max), figure.samples.size()),
      "-",
      "-"};
  if (figure.target) {
    row[5] = with_unit(
        fmt::format("{} <= {}", to_string(figure.target->statistic), figure.target->at_most),
        figure);
    row[6] = figure.met().value_or(false) ? "met" : "missed";
  }
  return row;
}

std::string markdown_row(const Row& row) {
  std::string line = "|";
  for (const std::string& cell : row) {
    line += " " + cell + " |";
  }
  return line + "\n";
}

nlohmann::ordered_json to_object(const Figure& figure) {
  const Summary all = figure.summary();
  nlohmann::ordered_json object = {
      {"name", figure.name}, {"unit", figure.unit}, {"count", figure.samples.size()},
      {"min", all.min},      {"p10", all.p10},      {"median", all.median},
      {"p90", all.p90},      {"p99", all.p99},      {"max", all.max},
      {"target", nullptr},   {"met", nullptr},      {"samples", figure.samples}};
  if (figure.target) {
    object["target"] = {{"statistic", to_string(figure.target->statistic)},
                        {"at_most", figure.target->at_most}};
    object["met"] = figure.met().value_or(false);
  }
  return object;
}

}  // namespace

std::string to_json(const Machine& machine, bool brief,
                    const std::vector<BenchmarkResult>& results) {
  nlohmann::ordered_json document = {{"version", 1},
                                     {"brief", brief},
                                     {"machine",
                                      {{"cpu_model", machine.cpu_model},
                                       {"cpus", machine.cpus},
                                       {"architecture", machine.architecture},
                                       {"kernel", machine.kernel},
                                       {"load_average", machine.load_average},
                                       {"date", machine.date},
                                       {"command", machine.command},
                                       {"commit", machine.commit}}},
                                     {"benchmarks", nlohmann::ordered_json::array()}};
  for (const BenchmarkResult& result : results) {
    nlohmann::ordered_json figures = nlohmann::ordered_json::array();
    for (const Figure& figure : result.figures) {
      figures.push_back(to_object(figure));
    }
    document["benchmarks"].push_back({{"name", result.name},
                                      {"what", result.what},
                                      {"seconds", result.seconds},
                                      {"notes", result.notes},
                                      {"figures", std::move(figures)}});
  }
  return document.dump(2) + "\n";
}

std::string to_markdown(const Machine& machine, bool brief,
                        const std::vector<BenchmarkResult>& results) {
  std::string text =
      fmt::format("{}, {} CPUs, {}, Linux {}; {}, commit {}, load average before {}; `{}`\n",
                  machine.cpu_model, machine.cpus, machine.architecture, machine.kernel,
                  machine.date, machine.commit, number(machine.load_average), machine.command);
  if (brief) {
    text += "\nThe short form: it shows that the benchmarks work; its figures say little.\n";
  }
  for (const BenchmarkResult& result : results) {
    text += fmt::format("\n### {}\n\n{}\n\n", result.name, result.what);
    text += markdown_row(kHeader) + "|---|---:|---:|---:|---:|---:|---|\n";
    for (const Figure& figure : result.figures) {
      text += markdown_row(row_of(figure));
    }
    if (!result.notes.empty()) {
      text += "\n";
    }
    for (const std::string& note : result.notes) {
      text += fmt::format("- {}\n", note);
    }
  }
  return text;
}

std::string to_terminal(const BenchmarkResult& result) {
  std::vector<Row> rows = {kHeader};
  for (const Figure& figure : result.figures) {
    rows.push_back(row_of(figure));
  }
  std::array<std::size_t, kColumns> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < kColumns; ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text =
      fmt::format("\n{} ({:.1f} s)\n{}\n\n", result.name, result.seconds, result.what);
  for (const Row& row : rows) {
    text += fmt::format("  {:<{}}", row[0], widths[0]);
    for (std::size_t i = 1; i + 1 < kColumns; ++i) {
      text += fmt::format("  {:>{}}", row[i], widths[i]);
    }
    text += "  " + row.back() + "\n";
  }
  for (const std::string& note : result.notes) {
    text += fmt::format("  - {}\n", note);
  }
  return text;
}

}  // namespace holdfast::bench
