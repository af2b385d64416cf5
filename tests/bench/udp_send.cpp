// What a sender pays for 1 % random loss: by Holdfast, by one nftables rule, by one iptables rule.
#include <fmt/format.h>
#include <sys/socket.h>
#include <time.h>

#include <array>
#include <chrono>
#include <cmath>
#include <functional>

#include "agent/kernel/attachment.h"
#include "agent/kernel/features.h"
#include "agent/kernel/libbpf_kernel.h"
#include "tests/bench/benchmark.h"
#include "tests/bench/pinned.h"
#include "tests/bench/reference_programs.h"
#include "tests/support/child_process.h"
#include "tests/support/injection.h"
#include "tests/support/test_network.h"

namespace holdfast::bench {
namespace {

using Clock = std::chrono::steady_clock;
using agent::kernel::DataPath;
using agent::kernel::Link;

constexpr double kMostOfOthers = 0.5;
constexpr std::uint16_t kPort = 9;  // discard
constexpr int kSlice = 1000;        // packets between two looks at the clock
constexpr double kLoss = 0.01;
constexpr double kRandomRange = 4294967296.0;

constexpr const char* kNothing = "nothing";
constexpr const char* kHoldfast = "Holdfast";
constexpr const char* kEmptyProgram = "an empty program on the same hook";

// One way to lose packets: put in place and taken away again in every round.
struct Contender {
  std::string name;
  std::function<Result<void>()> put, take;
  std::vector<double> ns;  // per packet, one for each round
  std::uint64_t sent = 0, refused = 0;
};

// What this thread has used: others that want its processor do not count. The veth's receiving end
// runs within the send, and does.
double processor_ns() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) * 1e9 + static_cast<double>(used.tv_nsec);
}

class UdpSend {
 public:
  UdpSend(bool brief, test::TestNetwork network)
      : rounds_(brief ? 3 : 61), packets_(brief ? 5'000 : 20'000), network_(std::move(network)) {}

  Result<BenchmarkResult> measure();

 private:
  Result<void> load_holdfast();
  Result<void> attach_empty();
  std::vector<Contender> contenders();
  void send_slices(Contender& contender);
  Result<void> check(const std::vector<Contender>& contenders) const;

  int rounds_, packets_;
  test::TestNetwork network_;
  UniqueFd socket_, empty_;
  std::unique_ptr<agent::kernel::Kernel> kernel_;
  std::vector<Link> links_;
  std::unique_ptr<DataPath> path_;  // after what it refers to
  std::unique_ptr<agent::kernel::Attachment> empty_attachment_;
};

Result<void> UdpSend::load_holdfast() {
  kernel_ = agent::kernel::make_libbpf_kernel(
      std::string(agent::kernel::host_features().attach_mechanism()));
  agent::RuleSpec rule;
  rule.rule.kind = HF_LOSS;
  rule.rule.draw_threshold = static_cast<__u64>(std::llround(kLoss * kRandomRange));
  auto path = test::load_live(*kernel_, network_.near(), {rule});
  auto links = test::link_named(*kernel_, network_.near(), test::kCable);
  if (!path || !links) {
    return std::unexpected(path ? links.error() : path.error());
  }
  path_ = std::move(*path);
  links_ = std::move(*links);
  return {};
}

// A program that does nothing, where Holdfast's is: what the hook itself costs.
Result<void> UdpSend::attach_empty() {
  return network_.near().run([this]() -> Result<void> {
    const std::uint32_t ifindex = links_.front().ifindex;
    auto attached =
        kernel_->mechanism() == "tcx"
            ? agent::kernel::attach_tcx(empty_.get(), ifindex, HF_TO)
            : agent::kernel::attach_clsact(network_.near(), empty_.get(), ifindex, HF_TO);
    if (!attached) {
      return std::unexpected(attached.error());
    }
    empty_attachment_ = std::move(*attached);
    return {};
  });
}

std::vector<Contender> UdpSend::contenders() {
  const auto run = [this](std::vector<std::string> command) {
    return [this, command = std::move(command)] {
      return test::run_command(network_.near(), command);
    };
  };
  const auto flush = run({"nft", "flush", "ruleset"});
  const auto nothing = [] { return Result<void>{}; };
  return {{.name = kNothing, .put = nothing, .take = nothing, .ns = {}},
          {.name = kHoldfast,
           .put = [this] { return path_->attach(links_); },
           .take = [this] { return path_->detach(); },
           .ns = {}},
          {.name = "nftables",
           .put = run({"nft",
                       "add table ip bench; add chain ip bench output { type filter hook output "
                       "priority 0; }; add rule ip bench output numgen random mod 100 < 1 drop"}),
           .take = flush,
           .ns = {}},
          {.name = "iptables",
           .put = run({"iptables-nft", "-A", "OUTPUT", "-m", "statistic", "--mode", "random",
                       "--probability", "0.01", "-j", "DROP"}),
           .take = flush,
           .ns = {}},
          {.name = kEmptyProgram,
           .put = [this] { return attach_empty(); },
           .take =
               [this] {
                 auto reverted = empty_attachment_->revert();
                 empty_attachment_.reset();
                 return reverted;
               },
           .ns = {}}};
}

// The round's figure is the median of short slices: one in which an interrupt came says nothing
// about the send.
void UdpSend::send_slices(Contender& contender) {
  constexpr std::array<char, 64> kPayload{};
  std::vector<double> slices;
  for (int sent = 0; sent < packets_; sent += kSlice) {
    const double began = processor_ns();
    for (int i = 0; i < kSlice; ++i) {
      if (::send(socket_.get(), kPayload.data(), kPayload.size(), 0) < 0) {
        ++contender.refused;
      }
    }
    slices.push_back((processor_ns() - began) / kSlice);
  }
  contender.sent += static_cast<std::uint64_t>(packets_);
  contender.ns.push_back(percentile(std::move(slices), 0.5));
}

// That each rule lost about what it was asked to: netfilter tells the sender, tc does not.
Result<void> UdpSend::check(const std::vector<Contender>& contenders) const {
  const auto counters = path_->counters(0);
  if (!counters) {
    return std::unexpected(counters.error());
  }
  for (const Contender& contender : contenders) {
    const std::uint64_t lost =
        contender.name == kHoldfast ? counters->dropped_packets : contender.refused;
    const double share = static_cast<double>(lost) / static_cast<double>(contender.sent);
    const bool loses = contender.name != kNothing && contender.name != kEmptyProgram;
    if (!loses ? lost != 0 : (share < kLoss / 2 || share > kLoss * 2)) {
      return fail(ErrorKind::internal,
                  fmt::format("{}: {} of {} packets were lost: not what is to be measured",
                              contender.name, lost, contender.sent));
    }
  }
  return {};
}

Result<BenchmarkResult> UdpSend::measure() {
  if (auto loaded = load_holdfast(); !loaded) {
    return std::unexpected(loaded.error());
  }
  auto socket = test::udp_socket(network_.near(), 0, test::kNobodyAddress, kPort);
  if (!socket) {
    return std::unexpected(socket.error());
  }
  socket_ = std::move(*socket);
  auto empty = load_empty_program();
  if (!empty) {
    return std::unexpected(empty.error());
  }
  empty_ = std::move(*empty);
  std::vector<Contender> all = contenders();
  for (int round = 0; round < rounds_; ++round) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      Contender& contender = all[(i + static_cast<std::size_t>(round)) % all.size()];
      if (auto put = contender.put(); !put) {
        return std::unexpected(put.error().with_context(contender.name));
      }
      {
        const Pinned pinned;
        send_slices(contender);
      }
      if (auto taken = contender.take(); !taken) {
        return std::unexpected(taken.error().with_context(contender.name));
      }
    }
  }
  if (auto right = check(all); !right) {
    return std::unexpected(right.error());
  }
  BenchmarkResult result;
  result.what = fmt::format(
      "A UDP send of 64 bytes over a veth pair with 1 % random loss: {} rounds of {} packets each, "
      "the contenders by turns on the same socket and cable.",
      rounds_, packets_);
  result.notes = {
      fmt::format("Holdfast is attached by {}.", kernel_->mechanism()),
      "The packets cross the cable and are thrown away where the far side's IP first looks at "
      "them.",
      "A packet that netfilter drops ends early, before the device; one that Holdfast drops has "
      "come as far as the device. Both count as sent."};
  const std::vector<double>& nothing = all[0].ns;
  const auto added = [&](const Contender& contender) {
    std::vector<double> samples;
    for (std::size_t i = 0; i < nothing.size(); ++i) {
      samples.push_back(contender.ns[i] - nothing[i]);
    }
    return samples;
  };
  result.figures.push_back(
      {.name = "a send without any rule", .unit = "ns", .samples = nothing, .target = {}});
  for (std::size_t i = 1; i < all.size(); ++i) {
    result.figures.push_back({.name = fmt::format("added by {}", all[i].name),
                              .unit = "ns",
                              .samples = added(all[i]),
                              .target = {}});
  }
  const std::vector<double> holdfast = added(all[1]);
  for (const std::size_t i : {2U, 3U}) {
    Figure ratio{.name = fmt::format("Holdfast's over {}'", all[i].name),
                 .unit = "ratio",
                 .samples = {},
                 .target = Target{.at_most = kMostOfOthers}};
    const std::vector<double> other = added(all[i]);
    for (std::size_t round = 0; round < other.size(); ++round) {
      ratio.samples.push_back(holdfast[round] / other[round]);
    }
    result.figures.push_back(std::move(ratio));
  }
  return result;
}

}  // namespace

Result<BenchmarkResult> measure_udp_send(const Settings& settings) {
  auto network = test::TestNetwork::make();
  if (!network) {
    return std::unexpected(network.error());
  }
  return UdpSend(settings.brief, std::move(*network)).measure();
}

}  // namespace holdfast::bench
