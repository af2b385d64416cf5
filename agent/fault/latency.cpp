#include "agent/fault/latency.h"

#include <fmt/format.h>

namespace holdfast::agent {
namespace {

CompiledFault compile(const plan::FaultParameters& parameters) {
  CompiledFault compiled;
  compiled.rule.kind = HF_LATENCY;
  compiled.line = parameters.latency;
  return compiled;
}

std::string proof(const Counters& counters) {
  if (counters.matched_packets == 0) {
    return kNoPacketMatched;
  }
  const DelaySummary& delays = counters.delays;
  std::string text =
      fmt::format("{} of {} matched packets delayed", delays.packets, counters.matched_packets);
  if (delays.packets > 0) {
    text += fmt::format(" by {} on average ({} to {}, 99 in 100 below {})",
                        format_rounded(delays.mean), format_rounded(delays.least),
                        format_rounded(delays.most), format_rounded(delays.p99));
  }
  if (counters.dropped_packets > 0) {
    text += fmt::format("; {} were lost on the way back", counters.dropped_packets);
  }
  return text + line_shortfall(counters);
}

}  // namespace

FaultType latency_fault() {
  return {
      .kind = plan::FaultKind::latency,
      .compile = compile,
      .proven = [](const Counters& counters) { return counters.delays.packets > 0; },
      .proof = proof,
  };
}

}  // namespace holdfast::agent
