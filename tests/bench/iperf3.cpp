#include "tests/bench/iperf3.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/bench/poll.h"

namespace holdfast::bench {
namespace {

constexpr int kIperfPort = 7003;

}  // namespace

Result<Iperf3> Iperf3::start(const test::TestNetwork& network, std::filesystem::path work) {
  auto server = test::ChildProcess::start(
      {"iperf3", "--server", "--forceflush", "--port", fmt::format("{}", kIperfPort)},
      work / "server", &network.far());
  if (!server) {
    return std::unexpected(server.error());
  }
  const auto ready = [&] { return server->last_words().find("listening") != std::string::npos; };
  if (!wait_until(ready)) {
    return fail(ErrorKind::unavailable, "iperf3 does not start: " + server->last_words());
  }
  return Iperf3(network, std::move(work), std::move(*server));
}

Result<Iperf3::Throughput> Iperf3::run(int flows, int seconds) const {
  const auto log = work_ / "iperf3.json";
  auto client = test::ChildProcess::start(
      {"iperf3", "--json", "--client", test::kFarAddress, "--port", fmt::format("{}", kIperfPort),
       "--parallel", fmt::format("{}", flows), "--time", fmt::format("{}", seconds), "--omit", "1"},
      log, &network_.near());
  if (!client) {
    return std::unexpected(client.error());
  }
  if (client->wait(std::chrono::seconds(seconds) + kPatience) != 0) {
    return fail(ErrorKind::internal, "iperf3 failed: " + client->last_words());
  }
  const auto report = nlohmann::json::parse(std::ifstream(log), nullptr, false);
  if (report.is_discarded()) {
    return fail(ErrorKind::internal, "iperf3 wrote no report");
  }
  const auto& end = report["end"];
  return Throughput{.bits_per_second = end["sum_received"]["bits_per_second"].get<double>(),
                    .retransmits = end["sum_sent"]["retransmits"].get<double>(),
                    .sent_bytes = end["sum_sent"]["bytes"].get<double>()};
}

}  // namespace holdfast::bench
