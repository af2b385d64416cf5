// The loaded BPF object with its maps: rules written, switched and counted. Attached nowhere by
// itself, which is also what tests and benchmarks that use BPF_PROG_TEST_RUN want.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "agent/rule_table.h"
#include "common/result.h"

struct holdfast_bpf;

namespace holdfast::agent::kernel {

class RuleMaps {
 public:
  // Loads the programs with maps as large as the table needs, and fills them. Nothing is live: the
  // lease is over and no rule is active. Errors: permission, unsupported (the verifier's last lines
  // are in the message), io.
  static Result<std::unique_ptr<RuleMaps>> load(const TableImage& table,
                                                const std::vector<hf_protected>& endpoints);
  ~RuleMaps();
  RuleMaps(const RuleMaps&) = delete;
  RuleMaps& operator=(const RuleMaps&) = delete;

  int program_fd(hf_direction direction, bool has_ethernet) const;
  // For the ingress of the delay line's TAP. Loaded where the table has work for it.
  int delayed_program_fd() const;

  // See DataPath.
  void activate(std::size_t rule, plan::Direction direction, std::uint64_t deadline_ns);
  void deactivate(std::size_t rule);
  // How often the rule hits, and how large a share of the flows. Each number changes at once, all
  // of them not.
  void retune(std::size_t rule, const hf_rule& changed);
  // Where its first pulse begins, on CLOCK_MONOTONIC; activate() says now.
  void set_pulse_start(std::size_t rule, std::uint64_t start_ns);
  void set_lease(std::uint64_t deadline_ns);
  // Where the delay line's TAP is, 0 for nowhere, and until when the line may be handed packets.
  void set_line(std::uint32_t ifindex);
  void set_line_deadline(std::uint64_t deadline_ns);
  Result<hf_counters> counters(std::size_t rule) const;

 private:
  explicit RuleMaps(holdfast_bpf* skeleton) : skeleton_(skeleton) {}
  Result<void> fill(const TableImage& table, const std::vector<hf_protected>& endpoints);

  holdfast_bpf* skeleton_;
};

}  // namespace holdfast::agent::kernel
