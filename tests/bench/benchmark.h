// The benchmarks there are, and what each is given.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/result.h"
#include "tests/bench/figure.h"

namespace holdfast::bench {

struct Settings {
  bool brief = false;  // a few seconds in all: shows that it works, its figures say little
  std::filesystem::path holdfast;  // the program
  std::filesystem::path work;      // an empty directory of this run's own
};

struct Benchmark {
  std::string name;
  // An error: it could not be run. A missed target is none. `name` and `seconds` of the result are
  // filled in by the caller.
  Result<BenchmarkResult> (*run)(const Settings& settings);
};

Result<BenchmarkResult> measure_packet_cost(const Settings& settings);
Result<BenchmarkResult> measure_udp_send(const Settings& settings);
Result<BenchmarkResult> measure_start_latency(const Settings& settings);
Result<BenchmarkResult> measure_stop_latency(const Settings& settings);
Result<BenchmarkResult> measure_delay(const Settings& settings);
Result<BenchmarkResult> measure_shaping(const Settings& settings);

inline std::vector<Benchmark> all_benchmarks() {
  return {{"packet-cost", measure_packet_cost},
          {"udp-send", measure_udp_send},
          {"start-latency", measure_start_latency},
          {"stop-latency", measure_stop_latency},
          {"delay", measure_delay},
          {"shaping", measure_shaping}};
}

}  // namespace holdfast::bench
