// From rules, as a plan means them, to the contents of the BPF maps. Pure: nothing here talks to
// the kernel.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/delay/line_rule.h"
#include "bpf/holdfast_abi.h"
#include "common/plan.h"
#include "common/result.h"

namespace holdfast::agent {

// A DNS name that a rule is about.
struct NameMatch {
  std::string name;           // "api.example.com", lower case, no last dot; "." is the root
  bool and_everything_below;  // a zone
};

// One rule: what it matches (empty lists restrict nothing) and what the kernel does then.
struct RuleSpec {
  std::string action;  // for messages
  plan::Match match;   // `hosts` have been resolved into `addresses`
  std::vector<std::uint32_t> interfaces;
  std::vector<NameMatch> names;  // kind dns
  std::optional<LineRule> line;  // what the delay line has to do
  hf_rule rule{};                // deadline_ns is set when it is armed
};

// What the maps must hold for a set of rules; rule i of the input is bit i.
struct TableImage {
  hf_config config{};                            // without the protected endpoints
  hf_control control{};                          // active, lease and protected endpoints left empty
  std::array<bool, HF_DIRECTIONS> directions{};  // those that some rule is about
  std::vector<std::pair<hf_address, hf_bits>> addresses;
  std::vector<std::pair<hf_prefix_key, hf_bits>> prefixes;
  std::map<std::uint16_t, hf_bits> remote_ports, local_ports;
  std::map<std::uint32_t, hf_bits> interfaces;
  std::vector<std::pair<hf_name_key, hf_name_value>> names;
  LineRules line;  // what the delay line has to do
};

// Errors: usage (more than HF_MAX_RULES rules, a name that does not fit).
Result<TableImage> build_table(const std::vector<RuleSpec>& rules);

// The wire form of a name (RFC 1035, 3.1), lower-cased and reversed, as the name trie is keyed.
Result<std::string> reversed_wire_name(const std::string& name);

inline void set_bit(hf_bits& bits, std::size_t rule) {
  bits.word[rule / 64] |= std::uint64_t{1} << (rule % 64);
}
inline bool test_bit(const hf_bits& bits, std::size_t rule) {
  return (bits.word[rule / 64] >> (rule % 64) & 1) != 0;
}

}  // namespace holdfast::agent
