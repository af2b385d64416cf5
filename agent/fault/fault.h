// What a kind of fault is to the agent: how an action of it compiles to a rule, and what its
// counters prove. One kind is one file pair here, one line in fault.cpp, one example plan and one
// test.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/rule_table.h"
#include "common/plan.h"

namespace holdfast::agent {

struct CompiledFault {
  hf_rule rule{};
  std::vector<NameMatch> names;  // dns
  std::optional<LineRule> line;  // what the delay line has to do
  bool closes = false;  // matched connections that end in the target are closed at the start
};

struct FaultType {
  plan::FaultKind kind;
  CompiledFault (*compile)(const plan::FaultParameters& parameters);
  // Whether the kernel's counters show that the fault hit traffic.
  bool (*proven)(const Counters& counters);
  // One line for people: "1204 of 1204 matched packets dropped".
  std::string (*proof)(const Counters& counters);
};

const FaultType& fault_type(plan::FaultKind kind);

// The action's rule: what its kind says, and what all kinds share (connections, flows, pulse).
// Which flows a share means differs from call to call.
CompiledFault compile_fault(const plan::Action& action);

// A probability as the programs compare it with 32 random bits (holdfast_abi.h).
__u64 probability_threshold(double probability);

// A rule of `kind` that hits the packets that the draw says.
CompiledFault compile_draw(hf_kind kind, const plan::Draw& draw);

// "no packet matched" or "N of M matched packets dropped": what most kinds say.
std::string dropped_proof(const Counters& counters);
// "12 of 1204 matched packets duplicated (0.997%)", with the word for what was done to them.
std::string altered_proof(const Counters& counters, const char* done);
// What the delay line did not do, as the end of a sentence; empty where there is nothing.
std::string line_shortfall(const Counters& counters);
inline constexpr const char* kNoPacketMatched = "no packet matched";

}  // namespace holdfast::agent
