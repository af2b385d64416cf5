#include "agent/fault/noop.h"

#include <fmt/format.h>

namespace holdfast::agent {

FaultType noop_fault() {
  return {
      .kind = plan::FaultKind::noop,
      .compile =
          [](const plan::FaultParameters&) {
            CompiledFault compiled;
            compiled.rule.kind = HF_NOOP;
            return compiled;
          },
      .proven = [](const Counters& counters) { return counters.matched_packets > 0; },
      .proof =
          [](const Counters& counters) {
            return counters.matched_packets == 0
                       ? std::string(kNoPacketMatched)
                       : fmt::format("{} packets matched, none touched", counters.matched_packets);
          },
  };
}

}  // namespace holdfast::agent
