// What a benchmark says: figures, each with its samples and, where the project promises something,
// its target.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/statistics.h"

namespace holdfast::bench {

enum class Statistic { median, p99 };
std::string_view to_string(Statistic statistic);

struct Target {
  Statistic statistic = Statistic::median;
  double at_most = 0;  // in the figure's unit
};

struct Figure {
  std::string name;  // unique in its benchmark
  std::string unit;  // "ns", "ms"; "ratio" for a quotient
  std::vector<double> samples;
  std::optional<Target> target;

  Summary summary() const { return summarize(samples); }
  // Nothing where there is no target. NaN never meets one.
  std::optional<bool> met() const;
};

struct BenchmarkResult {
  std::string name;
  std::string what;  // what was compared, in a sentence or two
  std::vector<Figure> figures;
  std::vector<std::string> notes;  // what a reader of the figures has to know
  double seconds = 0;              // how long it took
};

}  // namespace holdfast::bench
