#include "agent/fault/bandwidth.h"

#include <fmt/format.h>

namespace holdfast::agent {
namespace {

CompiledFault compile(const plan::FaultParameters& parameters) {
  CompiledFault compiled;
  compiled.rule.kind = HF_BANDWIDTH;
  compiled.line = parameters.bandwidth;
  return compiled;
}

std::string proof(const Counters& counters) {
  if (counters.matched_packets == 0) {
    return kNoPacketMatched;
  }
  if (counters.queued_packets + counters.dropped_packets == 0) {
    return fmt::format("none of {} matched packets had to wait for another: less than the rate",
                       counters.matched_packets);
  }
  // What the kernel hands over in one is cut up, so these can be more than were matched.
  std::string text = fmt::format("{} packets waited for others", counters.queued_packets);
  if (counters.bits_per_second > 0) {
    text += fmt::format(", {} passed meanwhile", format_rate(counters.bits_per_second));
  }
  if (counters.dropped_packets > 0) {
    text += fmt::format("; {} found the queue full and were dropped", counters.dropped_packets);
  }
  return text + line_shortfall(counters);
}

}  // namespace

FaultType bandwidth_fault() {
  return {
      .kind = plan::FaultKind::bandwidth,
      .compile = compile,
      .proven =
          [](const Counters& counters) {
            return counters.queued_packets + counters.dropped_packets > 0;
          },
      .proof = proof,
  };
}

}  // namespace holdfast::agent
