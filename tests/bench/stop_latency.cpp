// How long it takes from Ctrl-C on `holdfast run` to the last packet that its fault drops.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>

#include "controller/verify/http_client.h"
#include "tests/bench/benchmark.h"
#include "tests/bench/latency_plan.h"
#include "tests/bench/packet_stream.h"
#include "tests/bench/poll.h"
#include "tests/support/child_process.h"

namespace holdfast::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kExitAborted = 5;
// Missing packets in a row that tell that the fault is on; the same number of arrivals that it is
// off. 20 ms of the stream.
constexpr std::uint64_t kEnough = 200;
constexpr int kHeartbeatMs = 200;  // of the runner: the signal comes at any moment of it

struct Samples {
  std::vector<double> last_drop, exit;
};

Result<test::ChildProcess> start_prometheus(const test::TestNetwork& network,
                                            const plan::Experiment& experiment,
                                            const std::filesystem::path& work) {
  const auto config = work / "prometheus.yml";
  std::ofstream(config) << "# It scrapes nothing: the probe needs an answer, not a series.\n";
  auto server = test::ChildProcess::start(
      {"prometheus", "--config.file=" + config.string(), "--log.level=warn",
       fmt::format("--web.listen-address=127.0.0.1:{}", kPrometheusPort),
       "--storage.tsdb.path=" + (work / "prometheus").string()},
      work / "prometheus.log", &network.far());
  if (!server) {
    return server;
  }
  const auto ready = [&] {
    auto answered = network.far().run([&]() -> Result<void> {
      auto client = verify::HttpClient::make(experiment.prometheus);
      if (!client) {
        return std::unexpected(client.error());
      }
      const auto response = client->get("/-/ready");
      if (!response || response->status != 200) {
        return fail(ErrorKind::unavailable, "not yet");
      }
      return {};
    });
    return answered.has_value();
  };
  if (!wait_until([&] { return ready() || !server->running(); }) || !server->running()) {
    return fail(ErrorKind::unavailable,
                fmt::format("Prometheus does not start: {}", server->last_words()),
                "`scripts/lib/deps.sh bench` installs it");
  }
  return server;
}

Result<void> stop_once(const test::TestNetwork& network, const Settings& settings, int number,
                       Samples& samples) {
  auto started = PacketStream::start(network, kStreamPerSecond);
  if (!started) {
    return std::unexpected(started.error());
  }
  PacketStream& stream = **started;
  auto run = test::ChildProcess::start(
      {settings.holdfast.string(), "run", (settings.work / "plan.yaml").string(), "--output",
       (settings.work / "report").string()},
      settings.work / "run.log");
  if (!run) {
    return std::unexpected(run.error());
  }
  const auto failed = [&](const char* what) {
    return fail(ErrorKind::internal, fmt::format("{}: {}", what, run->last_words()));
  };
  // (Read `sent` first: what it counts has arrived by the time the socket is read.)
  const auto cut = [&] {
    const std::uint64_t sent = stream.sent();
    return sent >= stream.newest_received() + kEnough;
  };
  if (!wait_until([&] { return cut() || !run->running(); }) || !run->running()) {
    return failed("`holdfast run` injects nothing");
  }
  // Somewhere else in the runner's heartbeat each time.
  std::this_thread::sleep_for(std::chrono::milliseconds(number * 37 % kHeartbeatMs));
  const std::uint64_t arrived = stream.received();
  const auto signalled = Clock::now();
  run->signal(SIGINT);
  if (!wait_until([&] { return stream.received() >= arrived + kEnough; })) {
    return failed("packets do not flow again");
  }
  const auto status = run->wait(kPatience);
  const auto exited = Clock::now();
  stream.stop();
  if (status != kExitAborted) {
    return failed("`holdfast run` does not end as aborted");
  }
  const std::vector<std::uint64_t> lost = stream.lost();
  samples.last_drop.push_back(std::max(0.0, to_ms(stream.sent_at(lost.back()) - signalled)));
  samples.exit.push_back(to_ms(exited - signalled));
  return {};
}

}  // namespace

Result<BenchmarkResult> measure_stop_latency(const Settings& settings) {
  const int repeats = settings.brief ? 3 : 100;
  auto network = test::TestNetwork::make();
  if (!network) {
    return std::unexpected(network.error());
  }
  auto experiment = blackhole_experiment(*network, settings.work / "plan.yaml");
  if (!experiment) {
    return std::unexpected(experiment.error());
  }
  auto prometheus = start_prometheus(*network, *experiment, settings.work);
  if (!prometheus) {
    return std::unexpected(prometheus.error());
  }
  Samples samples;
  for (int i = 0; i < repeats; ++i) {
    if (auto done = stop_once(*network, settings, i, samples); !done) {
      return std::unexpected(done.error());
    }
  }
  return BenchmarkResult{
      .name = {},
      .what = fmt::format("SIGINT to `holdfast run` while its blackhole swallows {} UDP packets a "
                          "second, {} times: from the signal to the last packet that is gone.",
                          kStreamPerSecond, repeats),
      .figures = {{.name = "Ctrl-C to the last packet dropped",
                   .unit = "ms",
                   .samples = samples.last_drop,
                   .target = Target{.statistic = Statistic::p99, .at_most = kMostLatency}},
                  {.name = "Ctrl-C to the end of the process",
                   .unit = "ms",
                   .samples = samples.exit,
                   .target = {}}},
      .notes = {"A packet every 0.1 ms. 0: none was dropped after the signal.",
                "The signal comes at another moment of the runner's heartbeat each time."},
      .seconds = 0};
}

}  // namespace holdfast::bench
