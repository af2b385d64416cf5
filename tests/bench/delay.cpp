// How exact delays are, whether packets are lost or reordered, and what is left of TCP's
// throughput.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <optional>
#include <thread>

#include "agent/kernel/features.h"
#include "agent/kernel/libbpf_kernel.h"
#include "tests/bench/benchmark.h"
#include "tests/bench/iperf3.h"
#include "tests/bench/poll.h"
#include "tests/support/injection.h"
#include "tests/support/test_network.h"

namespace holdfast::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using agent::kernel::DataPath;

constexpr std::uint16_t kPort = 7002;
constexpr int kSendsBetweenReads = 1000;

// The clock of the kernel's timestamps.
std::int64_t wall_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

struct Probe {
  std::uint64_t number;
  std::int64_t sent;
};

// What became of a number of probes, in the order in which they arrived.
struct Outcome {
  std::vector<double> delays_ms;
  std::uint64_t lost = 0, reordered = 0;
};

// What has arrived by now. `next`: one more than the highest number so far.
Result<void> read_probes(const UniqueFd& receiver, std::uint64_t& next, Outcome& outcome) {
  for (;;) {
    Probe packet{};
    std::array<char, CMSG_SPACE(sizeof(timespec))> control{};
    iovec vector{.iov_base = &packet, .iov_len = sizeof(packet)};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(receiver.get(), &message, MSG_DONTWAIT) < 0) {
      break;
    }
    timespec arrived{};
    if (CMSG_FIRSTHDR(&message) == nullptr) {
      return fail(ErrorKind::internal, "a packet without a timestamp");
    }
    std::memcpy(&arrived, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(arrived));
    const std::int64_t ns = arrived.tv_sec * 1'000'000'000LL + arrived.tv_nsec - packet.sent;
    outcome.delays_ms.push_back(static_cast<double>(ns) / 1e6);
    outcome.reordered += packet.number < next ? 1 : 0;
    next = std::max(next, packet.number + 1);
  }
  return {};
}

// Keeps all processors busy for as long as it lives.
class Load {
 public:
  Load() {
    for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i) {
      threads_.emplace_back([](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
        }
      });
    }
  }

 private:
  std::vector<std::jthread> threads_;
};

class DelayBench {
 public:
  DelayBench(const Settings& settings, test::TestNetwork network)
      : settings_(settings),
        network_(std::move(network)),
        kernel_(agent::kernel::make_libbpf_kernel(
            std::string(agent::kernel::host_features().attach_mechanism()))) {}

  Result<BenchmarkResult> measure();

 private:
  Result<void> delay(const plan::LatencyParams& params, plan::Protocol protocol);
  Result<Outcome> probe(int count, Clock::duration interval, Clock::duration longest);
  Result<void> measure_error(BenchmarkResult& result, bool busy);
  void measure_wake_up(BenchmarkResult& result) const;
  Result<void> measure_jitter(BenchmarkResult& result);
  Result<void> measure_stream(BenchmarkResult& result);
  Result<void> measure_tcp(BenchmarkResult& result);

  const Settings& settings_;
  test::TestNetwork network_;
  std::unique_ptr<agent::kernel::Kernel> kernel_;
  std::unique_ptr<DataPath> path_;
};

// Delays what leaves near, until it is called again.
Result<void> DelayBench::delay(const plan::LatencyParams& params, plan::Protocol protocol) {
  path_.reset();
  agent::RuleSpec rule;
  rule.rule.kind = HF_LATENCY;
  rule.line = params;
  rule.match.protocol = protocol;
  auto path = test::inject(*kernel_, network_.near(), {rule}, test::kCable);
  if (!path) {
    return std::unexpected(path.error());
  }
  path_ = std::move(*path);
  return {};
}

// UDP from near to far: from the moment before each send to the kernel's timestamp where it
// arrives.
Result<Outcome> DelayBench::probe(int count, Clock::duration interval, Clock::duration longest) {
  auto receiver = test::udp_socket(network_.far(), kPort);
  auto sender = test::udp_socket(network_.near(), 0, test::kFarAddress, kPort);
  if (!receiver || !sender) {
    return std::unexpected(receiver ? sender.error() : receiver.error());
  }
  const int on = 1;
  const int room = 64 << 20;
  ::setsockopt(receiver->get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
  ::setsockopt(receiver->get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
  Outcome outcome;
  std::uint64_t next = 0;
  const auto first = Clock::now() + interval;
  for (int i = 0; i < count; ++i) {
    std::this_thread::sleep_until(first + i * interval);
    const Probe packet{.number = static_cast<std::uint64_t>(i), .sent = wall_ns()};
    if (::send(sender->get(), &packet, sizeof(packet), 0) < 0) {
      return fail_errno("send", errno);
    }
    if (i % kSendsBetweenReads == 0) {  // else the socket would overflow
      if (auto read = read_probes(*receiver, next, outcome); !read) {
        return std::unexpected(read.error());
      }
    }
  }
  std::this_thread::sleep_for(longest);
  if (auto read = read_probes(*receiver, next, outcome); !read) {
    return std::unexpected(read.error());
  }
  outcome.lost = static_cast<std::uint64_t>(count) - outcome.delays_ms.size();
  return outcome;
}

plan::LatencyParams fixed(Duration delay) {
  plan::LatencyParams params;
  params.delay = delay;
  return params;
}

Result<void> DelayBench::measure_error(BenchmarkResult& result, bool busy) {
  constexpr double kMedian = 100, kIdle = 300, kBusy = 500;  // us
  const int rounds = settings_.brief ? 1 : 9;
  for (const Duration delay_by : {Duration(1ms), Duration(10ms), Duration(100ms)}) {
    if (auto done = delay(fixed(delay_by), plan::Protocol::udp); !done) {
      return done;
    }
    std::optional<Load> load;
    if (busy) {
      load.emplace();
    }
    std::vector<double> medians, p99s;
    for (int round = 0; round < rounds; ++round) {
      auto outcome = probe(settings_.brief ? 50 : 500, 1ms, delay_by + 200ms);
      if (!outcome) {
        return std::unexpected(outcome.error());
      }
      std::vector<double> errors;
      for (const double ms : outcome->delays_ms) {
        errors.push_back((ms - to_ms(delay_by)) * 1e3);
      }
      medians.push_back(percentile(errors, 0.5));
      p99s.push_back(percentile(std::move(errors), 0.99));
    }
    const std::string name = fmt::format("error of {}{}", format_duration(delay_by),
                                         busy ? ", all processors busy" : "");
    std::optional<Target> median;
    if (!busy) {
      median = Target{.at_most = kMedian};
    }
    result.figures.push_back(
        {.name = name + ": median", .unit = "us", .samples = medians, .target = median});
    result.figures.push_back({.name = name + ": p99",
                              .unit = "us",
                              .samples = p99s,
                              .target = Target{.at_most = busy ? kBusy : kIdle}});
  }
  return {};
}

// What a sleep costs on this machine, whoever sleeps.
void DelayBench::measure_wake_up(BenchmarkResult& result) const {
  std::vector<double> late;
  std::thread([&] {
    const sched_param priority{.sched_priority = 1};
    ::pthread_setschedparam(::pthread_self(), SCHED_FIFO, &priority);
    for (int i = 0; i < (settings_.brief ? 50 : 3000); ++i) {
      const auto until = Clock::now() + 1ms;
      std::this_thread::sleep_until(until);
      late.push_back(to_ms(Clock::now() - until) * 1e3);
    }
  }).join();
  result.figures.push_back({.name = "beside it: a real-time thread that sleeps wakes up late by",
                            .unit = "us",
                            .samples = std::move(late),
                            .target = {}});
}

Result<void> DelayBench::measure_jitter(BenchmarkResult& result) {
  constexpr double kMost = 0.05;
  const int rounds = settings_.brief ? 1 : 3;
  plan::LatencyParams params = fixed(20ms);
  params.jitter = 2ms;
  params.distribution = plan::LatencyParams::Distribution::normal;
  std::vector<double> off;
  for (int round = 0; round < rounds; ++round) {
    if (auto done = delay(params, plan::Protocol::udp); !done) {
      return done;
    }
    // Far enough apart that none has to wait for the one before.
    auto outcome = probe(settings_.brief ? 50 : 1500, 12ms, 300ms);
    if (!outcome) {
      return std::unexpected(outcome.error());
    }
    double mean = 0, squares = 0;
    for (const double ms : outcome->delays_ms) {
      mean += ms / static_cast<double>(outcome->delays_ms.size());
    }
    for (const double ms : outcome->delays_ms) {
      squares += (ms - mean) * (ms - mean);
    }
    const double deviation = std::sqrt(squares / static_cast<double>(outcome->delays_ms.size()));
    off.push_back(std::abs(deviation / to_ms(params.jitter) - 1));
  }
  result.figures.push_back({.name = "jitter's standard deviation, off by",
                            .unit = "ratio",
                            .samples = std::move(off),
                            .target = Target{.at_most = kMost}});
  return {};
}

Result<void> DelayBench::measure_stream(BenchmarkResult& result) {
  if (auto done = delay(fixed(100ms), plan::Protocol::udp); !done) {
    return done;
  }
  auto outcome = probe(settings_.brief ? 2000 : 200'000, 50us, 500ms);
  if (!outcome) {
    return std::unexpected(outcome.error());
  }
  result.figures.push_back({.name = "lost at 100ms and 20000 packets/s",
                            .unit = "packets",
                            .samples = {static_cast<double>(outcome->lost)},
                            .target = Target{.at_most = 0}});
  result.figures.push_back({.name = "reordered at 100ms and 20000 packets/s",
                            .unit = "packets",
                            .samples = {static_cast<double>(outcome->reordered)},
                            .target = Target{.at_most = 0}});
  return {};
}

Result<void> DelayBench::measure_tcp(BenchmarkResult& result) {
  constexpr double kMissing = 0.2, kOneFlow = 0.1;
  constexpr int kMany = 8;
  const int rounds = settings_.brief ? 1 : 9;
  const int seconds = settings_.brief ? 1 : 3;
  auto iperf3 = Iperf3::start(network_, settings_.work);
  if (!iperf3) {
    return std::unexpected(iperf3.error());
  }
  std::vector<double> none, many, missing, one, off;
  for (int round = 0; round < rounds; ++round) {
    path_.reset();
    const auto run = [&](Duration delay_by, int flows, std::vector<double>& into) -> Result<void> {
      if (delay_by > 0s) {
        if (auto done = delay(fixed(delay_by), plan::Protocol::tcp); !done) {
          return done;
        }
      }
      auto rate = iperf3->run(flows, seconds);
      if (!rate) {
        return std::unexpected(rate.error());
      }
      into.push_back(rate->bits_per_second / 1e9);
      return {};
    };
    std::vector<double> twice;
    for (const auto& done :
         {run(0s, kMany, none), run(10ms, kMany, many), run(10ms, 1, one), run(20ms, 1, twice)}) {
      if (!done) {
        return done;
      }
    }
    missing.push_back(1 - many.back() / none.back());
    // What a full window carries in a round trip is the same, however long that takes.
    off.push_back(std::abs(one.back() / (2 * twice.back()) - 1));
  }
  const auto add = [&](const char* name, const char* unit, std::vector<double> samples,
                       std::optional<double> most = {}) {
    result.figures.push_back(
        {.name = name, .unit = unit, .samples = std::move(samples), .target = {}});
    if (most) {
      result.figures.back().target = Target{.at_most = *most};
    }
  };
  add("TCP without delay, 8 flows", "Gbit/s", std::move(none));
  add("TCP at 10ms, 8 flows", "Gbit/s", std::move(many));
  add("of this missing to that without delay", "ratio", std::move(missing), kMissing);
  add("TCP at 10ms, one flow", "Gbit/s", std::move(one));
  add("its window, off from that at 20ms by", "ratio", std::move(off), kOneFlow);
  return {};
}

Result<BenchmarkResult> DelayBench::measure() {
  BenchmarkResult result;
  result.what =
      "UDP and TCP over a veth pair whose packets in one direction are delayed by the line: from "
      "the moment before a send to the kernel's timestamp at the receiver, less the delay that was "
      "asked for.";
  result.notes = {
      fmt::format("Attached by {}. The time on the veth pair itself, some 5 us, is in "
                  "the error.",
                  kernel_->mechanism()),
      "The errors are of rounds of 500 packets, one each ms: the median and the p99 of each "
      "round are the samples. What others do on this machine is in them; the wake-ups of a "
      "sleeping thread show how much that is.",
      "TCP is measured by iperf3, with this kernel's own limits for buffers."};
  for (const auto& part :
       {std::function([&] { return measure_error(result, false); }), std::function([&] {
          measure_wake_up(result);
          return measure_error(result, true);
        }),
        std::function([&] { return measure_jitter(result); }),
        std::function([&] { return measure_stream(result); }),
        std::function([&] { return measure_tcp(result); })}) {
    if (auto done = part(); !done) {
      return std::unexpected(done.error());
    }
  }
  return result;
}

}  // namespace

Result<BenchmarkResult> measure_delay(const Settings& settings) {
  auto network = test::TestNetwork::make();
  if (!network) {
    return std::unexpected(network.error());
  }
  return DelayBench(settings, std::move(*network)).measure();
}

}  // namespace holdfast::bench
