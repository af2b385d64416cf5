// The results, for machines (one JSON file) and for people (a table, plain or as Markdown).
#pragma once

#include <string>
#include <vector>

#include "tests/bench/figure.h"
#include "tests/bench/machine.h"

namespace holdfast::bench {

// Version 1: {version, brief, machine, benchmarks: [{name, what, seconds, notes, figures}]}. A
// figure has its samples in the order in which they were taken, its statistics, its target or null,
// and `met`: true, false or null.
std::string to_json(const Machine& machine, bool brief,
                    const std::vector<BenchmarkResult>& results);

// `brief` results are marked as such: they show that the benchmarks work, and no more.
std::string to_markdown(const Machine& machine, bool brief,
                        const std::vector<BenchmarkResult>& results);

// One benchmark for the terminal, aligned.
std::string to_terminal(const BenchmarkResult& result);

}  // namespace holdfast::bench
