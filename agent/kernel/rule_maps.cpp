#include "agent/kernel/rule_maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <span>

#include "agent/kernel/mapped_array.h"
// The skeleton names the ABI's types.
#include "holdfast.skel.h"

namespace holdfast::agent::kernel {
namespace {

// What libbpf said last, for the message of a load that failed. Of this thread: loads do not share
// it.
thread_local std::string last_words;

int keep_words(libbpf_print_level level, const char* format, va_list arguments) {
  std::array<char, 1024> line{};
  const int length = std::vsnprintf(line.data(), line.size(), format, arguments);
  if (length > 0 && level == LIBBPF_WARN) {
    last_words.append(line.data());
    constexpr std::size_t kKept = 2000;
    if (last_words.size() > kKept) {
      last_words.erase(0, last_words.size() - kKept);
    }
  }
  return length;
}

std::string last_line(std::string words) {
  std::replace(words.begin(), words.end(), '\n', ' ');
  constexpr std::size_t kShown = 300;
  return words.size() > kShown ? "…" + words.substr(words.size() - kShown) : words;
}

Result<void> resize(bpf_map* map, std::size_t entries) {
  const int error =
      bpf_map__set_max_entries(map, static_cast<__u32>(std::max<std::size_t>(entries, 1)));
  if (error != 0) {
    return fail_errno("size a BPF map", error);
  }
  return {};
}

// A port table is two megabytes: only where ports matter.
Result<void> size_maps(holdfast_bpf& object, const TableImage& table) {
  const std::array<std::pair<bpf_map*, std::size_t>, 7> sizes = {{
      {object.maps.addresses, table.addresses.size()},
      {object.maps.prefixes, table.prefixes.size()},
      {object.maps.remote_ports, table.remote_ports.empty() ? 1 : HF_PORTS},
      {object.maps.local_ports, table.local_ports.empty() ? 1 : HF_PORTS},
      {object.maps.interfaces, table.interfaces.size()},
      {object.maps.names, table.names.size()},
      {object.maps.new_flows, table.config.use_existing != 0 ? HF_NEW_FLOWS : 1},
  }};
  for (const auto& [map, entries] : sizes) {
    if (auto sized = resize(map, entries); !sized) {
      return sized;
    }
  }
  return {};
}

template <class Entries>
Result<void> fill_map(const bpf_map* map, const Entries& entries) {
  const int fd = bpf_map__fd(map);
  for (const auto& [key, value] : entries) {
    if (bpf_map_update_elem(fd, &key, &value, BPF_ANY) != 0) {
      return fail_errno(fmt::format("fill BPF map {}", bpf_map__name(map)), errno);
    }
  }
  return {};
}

Result<void> fill_ports(const bpf_map* map, const std::map<std::uint16_t, hf_bits>& ports) {
  if (ports.empty()) {
    return {};
  }
  auto mapped = MappedArray::make(bpf_map__fd(map), sizeof(hf_bits) * HF_PORTS);
  if (!mapped) {
    return std::unexpected(mapped.error());
  }
  const std::span<hf_bits> table(static_cast<hf_bits*>(mapped->data()), HF_PORTS);
  for (const auto& [port, bits] : ports) {
    table[port] = bits;
  }
  return {};
}

void store(__u64& word, std::uint64_t value) {
  __atomic_store_n(&word, value, __ATOMIC_RELEASE);
}

}  // namespace

Result<std::unique_ptr<RuleMaps>> RuleMaps::load(const TableImage& table,
                                                 const std::vector<hf_protected>& endpoints) {
  if (endpoints.size() > HF_MAX_PROTECTED) {
    return fail(
        ErrorKind::usage,
        fmt::format("{} protected endpoints; at most {} fit", endpoints.size(), HF_MAX_PROTECTED),
        "protect a whole port instead of many addresses");
  }
  libbpf_set_print(keep_words);
  last_words.clear();
  holdfast_bpf* skeleton = holdfast_bpf__open();
  if (skeleton == nullptr) {
    return fail_errno("open the BPF object", errno);
  }
  std::unique_ptr<RuleMaps> maps(new RuleMaps(skeleton));
  if (auto sized = size_maps(*skeleton, table); !sized) {
    return std::unexpected(sized.error());
  }
  skeleton->rodata->config = table.config;
  skeleton->rodata->config.protected_count = static_cast<__u32>(endpoints.size());
  bpf_program__set_autoload(skeleton->progs.hf_delayed, table.config.use_line != 0);
  if (const int error = holdfast_bpf__load(skeleton); error != 0) {
    auto failed = fail_errno("load the BPF programs", error);
    if (failed.error().kind == ErrorKind::io) {
      failed.error().kind = ErrorKind::unsupported;
    }
    failed.error().message += last_words.empty() ? "" : fmt::format(" ({})", last_line(last_words));
    failed.error().cure = "`holdfast doctor` says what this node can do";
    return failed;
  }
  if (auto filled = maps->fill(table, endpoints); !filled) {
    return std::unexpected(filled.error());
  }
  return maps;
}

RuleMaps::~RuleMaps() {
  holdfast_bpf__destroy(skeleton_);
}

Result<void> RuleMaps::fill(const TableImage& table, const std::vector<hf_protected>& endpoints) {
  hf_control control = table.control;
  std::copy(endpoints.begin(), endpoints.end(), control.protected_endpoints);
  control.lease_deadline_ns = 0;
  control.line_deadline_ns = 0;
  control.line_ifindex = 0;
  std::fill_n(control.active, static_cast<int>(HF_DIRECTIONS), hf_bits{});
  skeleton_->bss->control = control;

  if (auto done = fill_map(skeleton_->maps.addresses, table.addresses); !done) {
    return done;
  }
  if (auto done = fill_map(skeleton_->maps.prefixes, table.prefixes); !done) {
    return done;
  }
  if (auto done = fill_map(skeleton_->maps.interfaces, table.interfaces); !done) {
    return done;
  }
  if (auto done = fill_map(skeleton_->maps.names, table.names); !done) {
    return done;
  }
  if (auto done = fill_ports(skeleton_->maps.remote_ports, table.remote_ports); !done) {
    return done;
  }
  return fill_ports(skeleton_->maps.local_ports, table.local_ports);
}

int RuleMaps::program_fd(hf_direction direction, bool has_ethernet) const {
  const auto& programs = skeleton_->progs;
  const bpf_program* program = direction == HF_TO
                                   ? (has_ethernet ? programs.hf_egress : programs.hf_egress_ip)
                                   : (has_ethernet ? programs.hf_ingress : programs.hf_ingress_ip);
  return bpf_program__fd(program);
}

int RuleMaps::delayed_program_fd() const {
  return bpf_program__fd(skeleton_->progs.hf_delayed);
}

void RuleMaps::activate(std::size_t rule, plan::Direction direction, std::uint64_t deadline_ns) {
  hf_control& control = skeleton_->bss->control;
  store(control.rules[rule].deadline_ns, deadline_ns);
  set_pulse_start(rule, static_cast<std::uint64_t>(
                            std::chrono::steady_clock::now().time_since_epoch().count()));
  const std::uint64_t bit = std::uint64_t{1} << (rule % 64);
  for (const auto& [wanted, kernel_direction] :
       {std::pair{plan::Direction::to, HF_TO}, std::pair{plan::Direction::from, HF_FROM}}) {
    if (direction == wanted || direction == plan::Direction::both) {
      __u64& word = control.active[kernel_direction].word[rule / 64];
      store(word, word | bit);
    }
  }
}

void RuleMaps::retune(std::size_t rule, const hf_rule& changed) {
  hf_rule& live = skeleton_->bss->control.rules[rule];
  store(live.draw_threshold, changed.draw_threshold);
  store(live.chain_to_bad, changed.chain_to_bad);
  store(live.chain_to_good, changed.chain_to_good);
  store(live.chain_threshold_in_bad, changed.chain_threshold_in_bad);
  store(live.flow_threshold, changed.flow_threshold);
  __atomic_store_n(&live.draw_every, changed.draw_every, __ATOMIC_RELEASE);
}

void RuleMaps::set_pulse_start(std::size_t rule, std::uint64_t start_ns) {
  store(skeleton_->bss->control.rules[rule].pulse_start_ns, start_ns);
}

void RuleMaps::deactivate(std::size_t rule) {
  hf_control& control = skeleton_->bss->control;
  for (hf_bits& active : control.active) {
    __u64& word = active.word[rule / 64];
    store(word, word & ~(std::uint64_t{1} << (rule % 64)));
  }
}

void RuleMaps::set_lease(std::uint64_t deadline_ns) {
  store(skeleton_->bss->control.lease_deadline_ns, deadline_ns);
}

void RuleMaps::set_line(std::uint32_t ifindex) {
  __atomic_store_n(&skeleton_->bss->control.line_ifindex, ifindex, __ATOMIC_RELEASE);
}

void RuleMaps::set_line_deadline(std::uint64_t deadline_ns) {
  store(skeleton_->bss->control.line_deadline_ns, deadline_ns);
}

Result<hf_counters> RuleMaps::counters(std::size_t rule) const {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 1) {
    return fail_errno("count the CPUs", cpus);
  }
  std::vector<hf_counters> per_cpu(static_cast<std::size_t>(cpus));
  const auto key = static_cast<__u32>(rule);
  if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.counters), &key, per_cpu.data()) != 0) {
    return fail_errno("read the counters", errno);
  }
  hf_counters sum{};
  for (const hf_counters& one : per_cpu) {
    sum.matched_packets += one.matched_packets;
    sum.matched_bytes += one.matched_bytes;
    sum.dropped_packets += one.dropped_packets;
    sum.dropped_bytes += one.dropped_bytes;
    sum.answered_packets += one.answered_packets;
    sum.spared_packets += one.spared_packets;
    sum.bursts += one.bursts;
  }
  return sum;
}

}  // namespace holdfast::agent::kernel
