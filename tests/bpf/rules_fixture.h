// A rule table that is loaded, and packets that are run through it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>

#include "agent/kernel/rule_maps.h"
#include "tests/bpf/packet.h"

namespace holdfast::agent {

using test::Bytes;
using test::make_packet;
using test::run_program;

inline constexpr int kPass = -1;  // TC_ACT_UNSPEC: the next program decides
inline constexpr int kShot = 2;
inline constexpr int kRedirect = 7;

inline std::uint64_t in(std::chrono::nanoseconds delay) {
  return static_cast<std::uint64_t>(
      (std::chrono::steady_clock::now().time_since_epoch() + delay).count());
}

inline plan::Prefix prefix(const std::string& address, int length) {
  plan::Prefix result;
  if (inet_pton(AF_INET, address.c_str(), &result.address[12]) == 1) {
    result.address[10] = result.address[11] = 0xff;
    result.length = length + 96;
  } else {
    inet_pton(AF_INET6, address.c_str(), result.address.data());
    result.length = length;
  }
  result.written = address;
  return result;
}

inline RuleSpec rule_of(std::uint32_t kind) {
  RuleSpec rule;
  rule.rule.kind = kind;
  return rule;
}

class Rules : public testing::Test {
 protected:
  void load(std::vector<RuleSpec> rules, std::vector<hf_protected> endpoints = {}) {
    auto table = build_table(rules);
    ASSERT_TRUE(table) << table.error().message;
    auto loaded = kernel::RuleMaps::load(*table, endpoints);
    ASSERT_TRUE(loaded) << loaded.error().message;
    maps_ = std::move(*loaded);
    for (std::size_t i = 0; i < rules.size(); ++i) {
      maps_->activate(i, plan::Direction::both, in(std::chrono::hours(1)));
    }
    maps_->set_lease(in(std::chrono::hours(1)));
  }
  int egress(const Bytes& packet) {
    return run_program(maps_->program_fd(HF_TO, true), packet).verdict;
  }
  int ingress(const Bytes& packet) {
    return run_program(maps_->program_fd(HF_FROM, true), packet).verdict;
  }
  hf_counters counters(std::size_t rule) { return maps_->counters(rule).value_or(hf_counters{}); }

  std::unique_ptr<kernel::RuleMaps> maps_;
};

}  // namespace holdfast::agent
