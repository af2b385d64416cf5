// How long it takes from the start of an action to the first packet that it drops.
#include <fmt/format.h>

#include <chrono>

#include "agent/kernel/features.h"
#include "agent/kernel/libbpf_kernel.h"
#include "agent/node_agent.h"
#include "tests/bench/benchmark.h"
#include "tests/bench/latency_plan.h"
#include "tests/bench/packet_stream.h"
#include "tests/bench/poll.h"

namespace holdfast::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kWarmUp = 50;  // packets that arrive before the action
constexpr std::uint64_t kEnough = 20;  // dropped packets after it

struct Samples {
  std::vector<double> prepare, arm, first_drop, after_arm;
};

Result<void> start_once(const plan::Experiment& experiment, const test::TestNetwork& network,
                        const Settings& settings, int number, Samples& samples) {
  agent::NodeAgentOptions options;
  options.run_id = fmt::format("bench-{}", number);
  options.journal_directory = settings.work / "journal";
  const auto mechanism = std::string(agent::kernel::host_features().attach_mechanism());
  const auto preparing = Clock::now();
  auto agent = agent::make_node_agent(agent::kernel::make_libbpf_kernel(mechanism), options);
  if (auto prepared = agent->prepare(experiment, {}); !prepared) {
    return std::unexpected(prepared.error());
  }
  if (auto taken = agent->snapshot_host(); !taken) {
    return taken;
  }
  const auto ready = Clock::now();
  auto stream = PacketStream::start(network, kStreamPerSecond);
  if (!stream) {
    return std::unexpected(stream.error());
  }
  if (!wait_until([&] { return (*stream)->received() >= kWarmUp; })) {
    return fail(ErrorKind::internal, "the stream does not flow");
  }
  const auto called = Clock::now();
  if (auto armed = agent->arm(0); !armed) {
    return armed;
  }
  const auto returned = Clock::now();
  const auto dropped = [&] {
    auto counters = agent->counters(0);
    return counters ? counters->dropped_packets : 0;
  };
  if (!wait_until([&] { return dropped() >= kEnough; })) {
    return fail(ErrorKind::internal, "the action drops nothing");
  }
  (*stream)->stop();
  const std::uint64_t counted = dropped();
  if (auto removed = agent->disarm_all(); !removed) {
    return removed;
  }
  const std::vector<std::uint64_t> lost = (*stream)->lost();
  // What was lost for another reason would be taken for the first drop.
  if (lost.size() != counted) {
    return fail(ErrorKind::internal,
                fmt::format("{} packets are missing, {} were dropped", lost.size(), counted));
  }
  const auto first = (*stream)->sent_at(lost.front());
  samples.prepare.push_back(to_ms(ready - preparing));
  samples.arm.push_back(to_ms(returned - called));
  samples.first_drop.push_back(to_ms(first - called));
  samples.after_arm.push_back(to_ms(first - returned));
  return {};
}

}  // namespace

Result<BenchmarkResult> measure_start_latency(const Settings& settings) {
  const int repeats = settings.brief ? 3 : 100;
  auto network = test::TestNetwork::make();
  if (!network) {
    return std::unexpected(network.error());
  }
  auto experiment = blackhole_experiment(*network, settings.work / "plan.yaml");
  if (!experiment) {
    return std::unexpected(experiment.error());
  }
  Samples samples;
  for (int i = 0; i < repeats; ++i) {
    if (auto done = start_once(*experiment, *network, settings, i, samples); !done) {
      return std::unexpected(done.error());
    }
  }
  return BenchmarkResult{
      .name = {},
      .what = fmt::format("A blackhole in the way of {} UDP packets a second, {} times: from the "
                          "agent being told to inject to the first packet that is gone.",
                          kStreamPerSecond, repeats),
      .figures = {{.name = "start of the action to the first packet dropped",
                   .unit = "ms",
                   .samples = samples.first_drop,
                   .target = Target{.statistic = Statistic::p99, .at_most = kMostLatency}},
                  {.name = "of this: attaching and activating",
                   .unit = "ms",
                   .samples = samples.arm,
                   .target = {}},
                  {.name = "from then to the first packet dropped",
                   .unit = "ms",
                   .samples = samples.after_arm,
                   .target = {}},
                  {.name = "before the start: compiling, loading, snapshot",
                   .unit = "ms",
                   .samples = samples.prepare,
                   .target = {}}},
      .notes = {"A packet every 0.1 ms: the first one dropped is at most that late. It is timed "
                "when its send returned.",
                "Below zero: the packet was dropped before the call had returned."},
      .seconds = 0};
}

}  // namespace holdfast::bench
