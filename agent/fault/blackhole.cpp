#include "agent/fault/blackhole.h"

#include <fmt/format.h>

namespace holdfast::agent {
namespace {

hf_refusal to_abi(plan::BlackholeHow how) {
  switch (how) {
    case plan::BlackholeHow::drop:
      return HF_SILENCE;
    case plan::BlackholeHow::refuse:
    case plan::BlackholeHow::reset:
      return HF_REFUSED;
    case plan::BlackholeHow::unreachable:
      return HF_UNREACHABLE;
  }
  return HF_SILENCE;
}

std::string proof(const Counters& counters) {
  std::string text = dropped_proof(counters);
  if (counters.answered_packets > 0) {
    text += fmt::format(", {} of them with a refusal to the sender", counters.answered_packets);
  }
  if (counters.closed_connections > 0) {
    text += fmt::format("; {} connections closed", counters.closed_connections);
  }
  return text;
}

}  // namespace

FaultType blackhole_fault() {
  return {
      .kind = plan::FaultKind::blackhole,
      .compile =
          [](const plan::FaultParameters& parameters) {
            CompiledFault compiled;
            compiled.rule.kind = HF_BLACKHOLE;
            compiled.rule.refusal = to_abi(parameters.blackhole.how);
            compiled.closes = parameters.blackhole.how == plan::BlackholeHow::reset;
            return compiled;
          },
      .proven =
          [](const Counters& counters) {
            return counters.dropped_packets + counters.closed_connections > 0;
          },
      .proof = proof,
  };
}

}  // namespace holdfast::agent
