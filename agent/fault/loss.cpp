#include "agent/fault/loss.h"

#include <fmt/format.h>

namespace holdfast::agent {
namespace {

CompiledFault compile(const plan::FaultParameters& parameters) {
  return compile_draw(HF_LOSS, parameters.draw);
}

std::string proof(const Counters& counters) {
  if (counters.matched_packets == 0) {
    return kNoPacketMatched;
  }
  const double share =
      static_cast<double>(counters.dropped_packets) / static_cast<double>(counters.matched_packets);
  std::string text = fmt::format("{} ({})", dropped_proof(counters), format_percent({share}));
  if (counters.bursts > 0) {
    text +=
        fmt::format(", {:.2f} in a row on average", static_cast<double>(counters.dropped_packets) /
                                                        static_cast<double>(counters.bursts));
  }
  return text;
}

}  // namespace

FaultType loss_fault() {
  return {
      .kind = plan::FaultKind::loss,
      .compile = compile,
      .proven = [](const Counters& counters) { return counters.dropped_packets > 0; },
      .proof = proof,
  };
}

}  // namespace holdfast::agent
