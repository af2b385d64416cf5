// How exact rates and bursts of loss are, what TCP makes of loss, what the delay line costs, and
// what others notice of it.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <optional>
#include <thread>

#include "agent/fault/fault.h"
#include "agent/kernel/features.h"
#include "agent/kernel/libbpf_kernel.h"
#include "agent/kernel/rule_maps.h"
#include "tests/bench/benchmark.h"
#include "tests/bench/iperf3.h"
#include "tests/bench/packet_stream.h"
#include "tests/bench/poll.h"
#include "tests/bpf/packet.h"
#include "tests/support/injection.h"

namespace holdfast::bench {
namespace {

using namespace std::chrono_literals;
using agent::RuleSpec;
using agent::kernel::DataPath;

// Ratios are too close to nothing to be read as such.
constexpr double kPercent = 100;

// Of a full frame of TCP with timestamps over IPv4: what iperf3 counts, and what a rate does.
constexpr double kPayload = 1448, kFrame = 1514;

RuleSpec rule_of(hf_kind kind, std::optional<agent::LineRule> line = {}) {
  RuleSpec rule;
  rule.rule.kind = kind;
  rule.line = std::move(line);
  return rule;
}

RuleSpec loss_of(const plan::Draw& draw) {
  RuleSpec rule;
  rule.rule = agent::compile_draw(HF_LOSS, draw).rule;
  return rule;
}

class ShapingBench {
 public:
  ShapingBench(const Settings& settings, const test::TestNetwork& network, const Iperf3& iperf3)
      : settings_(settings),
        network_(network),
        iperf3_(iperf3),
        kernel_(agent::kernel::make_libbpf_kernel(
            std::string(agent::kernel::host_features().attach_mechanism()))) {}

  Result<BenchmarkResult> measure();

 private:
  int rounds(int full) const { return settings_.brief ? 1 : full; }
  Result<void> inject(const std::vector<RuleSpec>& rules);
  Result<void> measure_rates(BenchmarkResult& result);
  Result<void> measure_bursts(BenchmarkResult& result);
  Result<void> measure_retransmits(BenchmarkResult& result);
  Result<void> measure_cpu(BenchmarkResult& result);
  Result<void> measure_others(BenchmarkResult& result);
  Result<double> round_trip_us();

  const Settings& settings_;
  const test::TestNetwork& network_;
  const Iperf3& iperf3_;
  std::unique_ptr<agent::kernel::Kernel> kernel_;
  std::unique_ptr<DataPath> path_;
};

// To what leaves near, until it is called again.
Result<void> ShapingBench::inject(const std::vector<RuleSpec>& rules) {
  path_.reset();
  auto path = test::inject(*kernel_, network_.near(), rules, test::kCable);
  if (!path) {
    return std::unexpected(path.error());
  }
  path_ = std::move(*path);
  return {};
}

Result<void> ShapingBench::measure_rates(BenchmarkResult& result) {
  constexpr double kMost = 1;  // %
  for (const double rate : {1e6, 10e6, 100e6, 1e9}) {
    plan::BandwidthParams params;
    params.bits_per_second = rate;
    params.queue = std::max<std::uint64_t>(static_cast<std::uint64_t>(rate / 8 / 4), 64 << 10);
    std::vector<double> off;
    for (int round = 0; round < rounds(5); ++round) {
      if (auto done = inject({rule_of(HF_BANDWIDTH, params)}); !done) {
        return done;
      }
      // A slow link is measured for longer: a packet more or less is more of it.
      const int seconds = settings_.brief ? 1 : rate < 1e7 ? 10 : 3;
      const auto seen = iperf3_.run(1, seconds);
      if (!seen) {
        return std::unexpected(seen.error());
      }
      off.push_back(kPercent * std::abs(seen->bits_per_second * kFrame / kPayload / rate - 1));
    }
    result.figures.push_back({.name = fmt::format("TCP over {}, off by", format_rate(rate)),
                              .unit = "%",
                              .samples = std::move(off),
                              .target = Target{.at_most = kMost}});
  }
  return {};
}

// A million packets each, by BPF_PROG_TEST_RUN.
Result<void> ShapingBench::measure_bursts(BenchmarkResult& result) {
  constexpr double kMost = 2;  // %
  constexpr double kToBad = 0.01, kToGood = 0.25;
  plan::Draw draw;
  draw.how = plan::Draw::How::chain;
  draw.chain = {.to_bad = kToBad, .to_good = kToGood, .hit_in_good = 0, .hit_in_bad = 1};
  const int packets = settings_.brief ? 100'000 : 1'000'000;
  std::vector<double> rate_off, length_off;
  for (int round = 0; round < rounds(9); ++round) {
    auto table = agent::build_table({loss_of(draw)});
    if (!table) {
      return std::unexpected(table.error());
    }
    auto maps = agent::kernel::RuleMaps::load(*table, {});
    if (!maps) {
      return std::unexpected(maps.error());
    }
    const auto deadline = static_cast<std::uint64_t>(
        (std::chrono::steady_clock::now().time_since_epoch() + 1h).count());
    (*maps)->set_lease(deadline);
    (*maps)->activate(0, plan::Direction::to, deadline);
    const auto packet = test::make_packet("10.0.0.1", "10.0.0.2", IPPROTO_UDP, 1, 2);
    (void)test::run_program((*maps)->program_fd(HF_TO, true), packet, packets);
    const auto counters = (*maps)->counters(0);
    if (!counters) {
      return std::unexpected(counters.error());
    }
    const auto dropped = static_cast<double>(counters->dropped_packets);
    const double share = dropped / packets;
    rate_off.push_back(kPercent * std::abs(share / draw.expected_share() - 1));
    length_off.push_back(kPercent *
                         std::abs(dropped / static_cast<double>(counters->bursts) * kToGood - 1));
  }
  result.figures.push_back({.name = "Gilbert-Elliott: rate off by",
                            .unit = "%",
                            .samples = std::move(rate_off),
                            .target = Target{.at_most = kMost}});
  result.figures.push_back({.name = "Gilbert-Elliott: mean burst length off by",
                            .unit = "%",
                            .samples = std::move(length_off),
                            .target = Target{.at_most = kMost}});
  return {};
}

// The same loss where the packets arrive, by nftables: what a wire would do.
Result<void> ShapingBench::measure_retransmits(BenchmarkResult& result) {
  constexpr double kMost = 5;  // %
  constexpr double kLoss = 0.01;
  plan::Draw draw;
  draw.percent.share = kLoss;
  std::vector<double> ours, theirs, apart;
  const auto per_megabyte = [](const Iperf3::Throughput& seen) {
    return seen.retransmits / (seen.sent_bytes / 1e6);
  };
  const auto nft = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "nft");
    return test::run_command(network_.far(), words);
  };
  for (int round = 0; round < rounds(9); ++round) {
    const int seconds = settings_.brief ? 1 : 4;
    if (auto done = inject({loss_of(draw)}); !done) {
      return done;
    }
    const auto here = iperf3_.run(4, seconds);
    path_.reset();
    if (auto made = nft({"add table ip bench; add chain ip bench input { type filter hook "
                         "prerouting priority -300; }; add rule ip bench input numgen random mod "
                         "1000 < 10 drop"});
        !made) {
      return made;
    }
    const auto there = iperf3_.run(4, seconds);
    if (auto gone = nft({"flush", "ruleset"}); !gone) {
      return gone;
    }
    if (!here || !there) {
      return std::unexpected(here ? there.error() : here.error());
    }
    ours.push_back(per_megabyte(*here));
    theirs.push_back(per_megabyte(*there));
  }
  // Of medians: what a round has of one has nothing to do with what it has of the other.
  apart.push_back(kPercent * std::abs(percentile(ours, 0.5) / percentile(theirs, 0.5) - 1));
  result.figures.push_back({.name = "retransmits at 1% loss",
                            .unit = "per MB",
                            .samples = std::move(ours),
                            .target = {}});
  result.figures.push_back({.name = "retransmits at 1% loss where packets arrive (nftables)",
                            .unit = "per MB",
                            .samples = std::move(theirs),
                            .target = {}});
  result.figures.push_back({.name = "… their medians apart by",
                            .unit = "%",
                            .samples = std::move(apart),
                            .target = Target{.at_most = kMost}});
  return {};
}

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return of(used.ru_utime) + of(used.ru_stime);
}

// This process is the line, and does nothing else meanwhile.
Result<void> ShapingBench::measure_cpu(BenchmarkResult& result) {
  plan::LatencyParams params;
  params.delay = 10ms;
  std::vector<double> cost;
  for (int round = 0; round < rounds(5); ++round) {
    if (auto done = inject({rule_of(HF_LATENCY, params)}); !done) {
      return done;
    }
    const double before = cpu_seconds();
    const int seconds = settings_.brief ? 1 : 4;
    const auto seen = iperf3_.run(8, seconds);
    if (!seen) {
      return std::unexpected(seen.error());
    }
    const double used = cpu_seconds() - before;
    cost.push_back(used / (seconds + 1) / (seen->bits_per_second / 1e9));  // the omitted second too
  }
  result.figures.push_back({.name = "CPU of the delay line, by 1 Gbit/s of TCP at 10ms",
                            .unit = "CPUs",
                            .samples = std::move(cost),
                            .target = {}});
  return {};
}

// Of datagrams that no rule matches, from near to far and back: the median of many, in us.
Result<double> ShapingBench::round_trip_us() {
  constexpr std::uint16_t kPort = 7004;
  auto server = test::udp_socket(network_.far(), kPort);
  auto client = test::udp_socket(network_.near(), 0, test::kFarAddress, kPort);
  if (!server || !client) {
    return std::unexpected(server ? client.error() : server.error());
  }
  std::vector<double> times;
  for (int i = 0; i < (settings_.brief ? 200 : 5000); ++i) {
    char octet = 1;
    sockaddr_in peer{};
    socklen_t length = sizeof(peer);
    const auto began = std::chrono::steady_clock::now();
    if (::send(client->get(), &octet, 1, 0) != 1 ||
        ::recvfrom(server->get(), &octet, 1, 0, reinterpret_cast<sockaddr*>(&peer), &length) != 1 ||
        ::sendto(server->get(), &octet, 1, 0, reinterpret_cast<sockaddr*>(&peer), length) != 1 ||
        ::recv(client->get(), &octet, 1, 0) != 1) {
      return std::unexpected(fail_errno("an echo", errno).error());
    }
    times.push_back(to_ms(std::chrono::steady_clock::now() - began) * 1e3);
  }
  return percentile(std::move(times), 0.5);
}

Result<void> ShapingBench::measure_others(BenchmarkResult& result) {
  plan::LatencyParams params;
  params.delay = 100ms;
  RuleSpec rule = rule_of(HF_LATENCY, params);
  rule.match.ports = {{kStreamPort, kStreamPort}};
  std::vector<double> alone, beside, apart;
  for (int round = 0; round < rounds(15); ++round) {
    const auto echo = [&](bool delayed, std::vector<double>& into) -> Result<void> {
      path_.reset();
      if (delayed) {
        if (auto done = inject({rule}); !done) {
          return done;
        }
      }
      auto stream = PacketStream::start(network_, 1000);  // in both, so that it costs the same
      auto median = round_trip_us();
      if (!stream || !median) {
        return std::unexpected(stream ? median.error() : stream.error());
      }
      into.push_back(*median);
      return {};
    };
    for (const auto& done : {echo(false, alone), echo(true, beside)}) {
      if (!done) {
        return done;
      }
    }
    apart.push_back(beside.back() - alone.back());
  }
  result.figures.push_back({.name = "echo that no rule matches, nothing injected",
                            .unit = "us",
                            .samples = std::move(alone),
                            .target = {}});
  result.figures.push_back({.name = "… while 1000 packets/s beside it are delayed",
                            .unit = "us",
                            .samples = std::move(beside),
                            .target = {}});
  result.figures.push_back(
      {.name = "… more by", .unit = "us", .samples = std::move(apart), .target = {}});
  return {};
}

Result<BenchmarkResult> ShapingBench::measure() {
  BenchmarkResult result;
  result.what =
      "TCP by iperf3 over a veth pair, one flow on links of four rates and four flows at 1 % loss; "
      "a million packets of bursts; eight flows that are delayed; and an echo beside a flow that "
      "is.";
  result.notes = {
      "Rates are of frames: what iperf3 counts, by 1514 / 1448.",
      "Gilbert-Elliott: good to bad 1 %, bad to good 25 %, everything lost in the bad state.",
      "Retransmits are of whole large frames, which the veth pair does not cut up, on both sides. "
      "The kernel's counter moves with the luck of each round.",
      "CPUs: user and system time of the process that is the line, the kernel's work on packets "
      "that it writes back included."};
  for (const auto& part : {&ShapingBench::measure_rates, &ShapingBench::measure_bursts,
                           &ShapingBench::measure_retransmits, &ShapingBench::measure_cpu,
                           &ShapingBench::measure_others}) {
    if (auto done = (this->*part)(result); !done) {
      return std::unexpected(done.error());
    }
  }
  return result;
}

}  // namespace

Result<BenchmarkResult> measure_shaping(const Settings& settings) {
  auto network = test::TestNetwork::make();
  if (!network) {
    return std::unexpected(network.error());
  }
  auto iperf3 = Iperf3::start(*network, settings.work);
  if (!iperf3) {
    return std::unexpected(iperf3.error());
  }
  return ShapingBench(settings, *network, *iperf3).measure();
}

}  // namespace holdfast::bench
