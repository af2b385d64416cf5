#include "agent/fault/blackhole.h"

namespace holdfast::agent {

FaultType blackhole_fault() {
  return {
      .kind = plan::FaultKind::blackhole,
      .compile =
          [](const plan::Action&) {
            return CompiledFault{.rule = {.deadline_ns = 0,
                                          .loss_threshold = 0,
                                          .kind = HF_BLACKHOLE,
                                          .dns_response = 0},
                                 .names = {}};
          },
      .proven = [](const Counters& counters) { return counters.dropped_packets > 0; },
      .proof = dropped_proof,
  };
}

}  // namespace holdfast::agent
