#include "tests/bench/latency_plan.h"

#include <fmt/format.h>

#include <fstream>

#include "common/plan_yaml.h"
#include "tests/bench/packet_stream.h"

namespace holdfast::bench {

Result<plan::Experiment> blackhole_experiment(const test::TestNetwork& network,
                                              const std::filesystem::path& file) {
  std::ofstream(file) << fmt::format(R"(apiVersion: holdfast/v1
kind: Experiment
metadata: {{name: bench}}
spec:
  prometheus: {{url: "http://127.0.0.1:{}", netns: "{}"}}
  steadyStateHypothesis:
    baseline: 0s
    probes:
      - {{name: the server answers, type: prometheus, query: vector(1), tolerance: ">= 1"}}
  method:
    - name: cut the stream
      fault: blackhole
      duration: 1m
      target: {{netns: "{}"}}
      match: {{addresses: [{}], ports: [{}], protocol: udp, direction: both}}
      blackhole: {{how: drop}}
  recovery: {{within: 5s}}
)",
                                     kPrometheusPort, network.far_path(), network.near_path(),
                                     test::kFarAddress, kStreamPort);
  plan::ParseOutcome outcome = plan::load_plan(file);
  if (!outcome.experiment) {
    return fail(ErrorKind::internal, outcome.diagnostics.empty()
                                         ? "the benchmark's plan was refused"
                                         : outcome.diagnostics.front().text());
  }
  return std::move(*outcome.experiment);
}

}  // namespace holdfast::bench
