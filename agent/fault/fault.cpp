#include "agent/fault/fault.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "agent/fault/blackhole.h"
#include "agent/fault/dns.h"
#include "agent/fault/loss.h"
#include "agent/fault/noop.h"

namespace holdfast::agent {

const FaultType& fault_type(plan::FaultKind kind) {
  // An explicit list: a linker drops objects that only register themselves.
  static const std::array kTypes = {noop_fault(), blackhole_fault(), loss_fault(), dns_fault()};
  return *std::find_if(kTypes.begin(), kTypes.end(),
                       [kind](const FaultType& type) { return type.kind == kind; });
}

std::string dropped_proof(const Counters& counters) {
  if (counters.matched_packets == 0) {
    return kNoPacketMatched;
  }
  return fmt::format("{} of {} matched packets dropped", counters.dropped_packets,
                     counters.matched_packets);
}

}  // namespace holdfast::agent
