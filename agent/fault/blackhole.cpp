#include "agent/fault/blackhole.h"

namespace holdfast::agent {

FaultType blackhole_fault() {
  return {
      .kind = plan::FaultKind::blackhole,
      .compile =
          [](const plan::Action&) {
            CompiledFault compiled;
            compiled.rule.kind = HF_BLACKHOLE;
            return compiled;
          },
      .proven = [](const Counters& counters) { return counters.dropped_packets > 0; },
      .proof = dropped_proof,
  };
}

}  // namespace holdfast::agent
