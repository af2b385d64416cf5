// What a packet pays for Holdfast on its path, against a program that does nothing, by table size.
#include <arpa/inet.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <optional>

#include "agent/kernel/rule_maps.h"
#include "tests/bench/benchmark.h"
#include "tests/bench/pinned.h"
#include "tests/bench/reference_programs.h"
#include "tests/bpf/packet.h"

namespace holdfast::bench {
namespace {

using agent::RuleSpec;
using agent::kernel::RuleMaps;

constexpr double kMostAdded = 110;    // ns
constexpr double kMostGrowth = 1.15;  // of the added cost, from the smallest to the largest table
constexpr std::uint32_t kTargets = 0x0b000000;  // 11.0.0.0: the table's first address
constexpr std::uint32_t kOthers = 0xac100000;   // 172.16.0.0: in no table
constexpr std::uint32_t kOtherCount = 1U << 20;
constexpr double kRandomRange = 4294967296.0;

enum class Entries { single, prefix };  // addresses (hash), or /28 prefixes (trie)
enum class Fault { noop, loss };
enum class Packet { miss, hit, varying_miss, varying_hit };

std::uint32_t step_of(Entries entries) {
  return entries == Entries::single ? 1 : 16;
}

plan::Prefix entry_at(Entries entries, std::uint32_t index) {
  plan::Prefix prefix;
  prefix.address[10] = prefix.address[11] = 0xff;
  const std::uint32_t address = htonl(kTargets + index * step_of(entries));
  std::memcpy(&prefix.address[12], &address, sizeof(address));
  prefix.length = entries == Entries::single ? 128 : 124;
  return prefix;
}

Result<std::unique_ptr<RuleMaps>> load_table(Entries entries, std::uint32_t size, Fault fault) {
  RuleSpec rule;
  rule.rule.kind = fault == Fault::noop ? HF_NOOP : HF_LOSS;
  rule.rule.draw_threshold = static_cast<__u64>(std::llround(0.01 * kRandomRange));
  for (std::uint32_t i = 0; i < size; ++i) {
    rule.match.addresses.push_back(entry_at(entries, i));
  }
  auto table = agent::build_table({rule});
  if (!table) {
    return std::unexpected(table.error());
  }
  auto maps = RuleMaps::load(*table, {});
  if (maps) {
    const auto deadline = static_cast<std::uint64_t>(
        (std::chrono::steady_clock::now().time_since_epoch() + std::chrono::hours(1)).count());
    (*maps)->activate(0, plan::Direction::to, deadline);
    (*maps)->set_lease(deadline);
  }
  return maps;
}

std::string dotted(std::uint32_t address) {
  const in_addr network{htonl(address)};
  char text[INET_ADDRSTRLEN];
  return ::inet_ntop(AF_INET, &network, text, sizeof(text));
}

// ns of one run, by the kernel's own clock around all of them.
Result<double> time_of(int program, const test::Bytes& packet, int repeat) {
  test::Bytes out(packet.size() + 256);
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_out = out.data(),
              .data_size_in = static_cast<__u32>(packet.size()),
              .data_size_out = static_cast<__u32>(out.size()), .repeat = repeat);
  if (const int error = ::bpf_prog_test_run_opts(program, &options); error != 0) {
    return fail_errno("run a program by BPF_PROG_TEST_RUN", error);
  }
  return options.duration;
}

// One figure under way: a program, the one that it is compared with, and a packet.
struct Case {
  Entries entries;
  std::uint32_t size;
  Fault fault;
  Packet packet;
  int program = -1, reference = -1;
  std::vector<double> added;

  bool varying() const { return packet == Packet::varying_miss || packet == Packet::varying_hit; }
  bool hits() const { return packet == Packet::hit || packet == Packet::varying_hit; }
  std::string name() const {
    return fmt::format("{}, {}{}", entries == Entries::single ? "addresses" : "prefixes",
                       !hits()                ? "no match"
                       : fault == Fault::noop ? "match (noop)"
                                              : "match (loss 1%)",
                       varying() ? ", destinations vary" : "");
  }
};

class PacketCost {
 public:
  explicit PacketCost(bool brief)
      : rounds_(brief ? 3 : 15),
        repeat_(brief ? 20'000 : 400'000),
        sizes_(brief ? std::vector<std::uint32_t>{1, 1'000}
                     : std::vector<std::uint32_t>{1, 100, 10'000, 100'000}) {}

  Result<BenchmarkResult> measure();

 private:
  Result<void> prepare();
  Result<void> add_case(Case one);
  Result<int> driven(const Destinations& destinations, int program);
  Result<void> run_round(int round);
  std::vector<Figure> figures() const;

  int rounds_, repeat_;
  std::vector<std::uint32_t> sizes_;
  UniqueFd empty_;
  std::vector<std::unique_ptr<RuleMaps>> tables_;
  std::vector<Driver> drivers_;
  std::vector<Case> cases_;
  std::vector<double> empty_ns_;
};

Result<int> PacketCost::driven(const Destinations& destinations, int program) {
  auto driver = Driver::make(destinations, program);
  if (!driver) {
    return std::unexpected(driver.error());
  }
  drivers_.push_back(std::move(*driver));
  return drivers_.back().program_fd();
}

Result<void> PacketCost::add_case(Case one) {
  const int program = tables_.back()->program_fd(HF_TO, true);
  one.program = program;
  one.reference = empty_.get();
  if (one.varying()) {
    const Destinations destinations = one.hits()
                                          ? Destinations{kTargets, step_of(one.entries), one.size}
                                          : Destinations{kOthers, 1, kOtherCount};
    for (int* run : {&one.program, &one.reference}) {
      auto driver = driven(destinations, *run);
      if (!driver) {
        return std::unexpected(driver.error());
      }
      *run = *driver;
    }
  }
  cases_.push_back(std::move(one));
  return {};
}

Result<void> PacketCost::prepare() {
  auto empty = load_empty_program();
  if (!empty) {
    return std::unexpected(empty.error());
  }
  empty_ = std::move(*empty);
  for (const Entries entries : {Entries::single, Entries::prefix}) {
    for (const Fault fault : {Fault::noop, Fault::loss}) {
      const std::vector<Packet> packets =
          fault == Fault::noop ? std::vector<Packet>{Packet::miss, Packet::hit,
                                                     Packet::varying_miss, Packet::varying_hit}
                               : std::vector<Packet>{Packet::hit};
      for (const std::uint32_t size : sizes_) {
        auto table = load_table(entries, size, fault);
        if (!table) {
          return std::unexpected(table.error());
        }
        tables_.push_back(std::move(*table));
        for (const Packet packet : packets) {
          if (auto added = add_case({.entries = entries,
                                     .size = size,
                                     .fault = fault,
                                     .packet = packet,
                                     .added = {}});
              !added) {
            return added;
          }
        }
      }
    }
  }
  return {};
}

// Each case right beside its reference, so that what the machine does meanwhile hits both; the
// order turns with the rounds.
Result<void> PacketCost::run_round(int round) {
  for (std::size_t i = 0; i < cases_.size(); ++i) {
    Case& one = cases_[(i + static_cast<std::size_t>(round) * 7) % cases_.size()];
    const std::uint32_t hit = kTargets + (one.size / 2) * step_of(one.entries);
    const auto packet = test::make_packet("10.0.0.9", dotted(one.hits() ? hit : kOthers),
                                          IPPROTO_UDP, 40000, 50000);
    auto reference = time_of(one.reference, packet, repeat_);
    auto program = time_of(one.program, packet, repeat_);
    if (!reference || !program) {
      return std::unexpected(!reference ? reference.error() : program.error());
    }
    one.added.push_back(*program - *reference);
    if (!one.varying()) {
      empty_ns_.push_back(*reference);
    }
  }
  return {};
}

std::vector<Figure> PacketCost::figures() const {
  std::vector<Figure> figures = {
      {.name = "the empty program itself", .unit = "ns", .samples = empty_ns_, .target = {}}};
  std::map<std::string, std::vector<const Case*>> families;  // by growing table
  std::vector<std::string> order;
  for (const Case& one : cases_) {
    auto& family = families[one.name()];
    if (family.empty()) {
      order.push_back(one.name());
    }
    family.push_back(&one);
  }
  for (const std::string& name : order) {
    const auto& family = families[name];
    // What is promised is the cost of the program. With destinations that vary it is that of the
    // processor's caches too, as it would be for any table: shown, not judged.
    const bool judged = !family.front()->varying();
    for (const Case* one : family) {
      figures.push_back(
          {.name = fmt::format("added: {}; {} in the table", name, one->size),
           .unit = "ns",
           .samples = one->added,
           .target = judged ? std::optional(Target{.at_most = kMostAdded}) : std::nullopt});
    }
    Figure growth{
        .name = fmt::format("growth: {}; {} over {}", name, sizes_.back(), sizes_.front()),
        .unit = "ratio",
        .samples = {},
        .target = judged ? std::optional(Target{.at_most = kMostGrowth}) : std::nullopt};
    for (std::size_t round = 0; round < family.front()->added.size(); ++round) {
      growth.samples.push_back(family.back()->added[round] / family.front()->added[round]);
    }
    figures.push_back(std::move(growth));
  }
  return figures;
}

Result<BenchmarkResult> PacketCost::measure() {
  if (auto prepared = prepare(); !prepared) {
    return std::unexpected(prepared.error());
  }
  const Pinned pinned;
  for (int round = 0; round < rounds_; ++round) {
    if (auto done = run_round(round); !done) {
      return std::unexpected(done.error());
    }
  }
  // A rule that did not match would be cheap, and its figures worth nothing.
  for (const auto& table : tables_) {
    auto counters = table->counters(0);
    if (!counters || counters->matched_packets == 0) {
      return fail(ErrorKind::internal, "a rule that was to be measured matched no packet");
    }
  }
  return BenchmarkResult{
      .name = {},
      .what = fmt::format(
          "What the egress program adds to an empty one for a UDP packet of 50 bytes, by "
          "BPF_PROG_TEST_RUN: {} rounds of {} runs, each right beside the empty program.",
          rounds_, repeat_),
      .figures = figures(),
      .notes = {"One packet is run again and again: its way through the maps is in the caches. "
                "\"Destinations vary\" gives each packet a random one (of the table, or of a "
                "million others); its reference does the same.",
                "Addresses are looked up in a hash table; prefixes (/28) in a trie, whose depth "
                "grows with its size."},
      .seconds = 0};
}

}  // namespace

Result<BenchmarkResult> measure_packet_cost(const Settings& settings) {
  return PacketCost(settings.brief).measure();
}

}  // namespace holdfast::bench
