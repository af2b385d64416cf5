// The experiment of the latency benchmarks: a blackhole around a stream of packets.
#pragma once

#include <filesystem>
#include <string>

#include "common/plan.h"
#include "common/result.h"
#include "tests/support/test_network.h"

namespace holdfast::bench {

inline constexpr int kStreamPerSecond = 10'000;
inline constexpr double kMostLatency = 50;  // ms, p99
inline constexpr int kPrometheusPort = 9090;

// Cuts near off from the stream's far end for a minute, both directions on all of its interfaces
// (the cable and loopback), which is the most that has to be attached. Its Prometheus is the far
// namespace's own, on loopback. Parsed from YAML, as any plan.
Result<plan::Experiment> blackhole_experiment(const test::TestNetwork& network,
                                              const std::filesystem::path& file);

}  // namespace holdfast::bench
