#include "agent/fault/fault.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "agent/fault/blackhole.h"
#include "agent/fault/dns.h"
#include "agent/fault/latency.h"
#include "agent/fault/loss.h"
#include "agent/fault/noop.h"

namespace holdfast::agent {

const FaultType& fault_type(plan::FaultKind kind) {
  // An explicit list: a linker drops objects that only register themselves.
  static const std::array kTypes = {noop_fault(), blackhole_fault(), loss_fault(), dns_fault(),
                                    latency_fault()};
  return *std::find_if(kTypes.begin(), kTypes.end(),
                       [kind](const FaultType& type) { return type.kind == kind; });
}

__u64 probability_threshold(double probability) {
  // A random 32-bit number is below it, so what always happens needs the one value beyond them all.
  constexpr double kRange = 4294967296.0;
  return static_cast<__u64>(std::llround(probability * kRange));
}

CompiledFault compile_fault(const plan::Action& action) {
  CompiledFault compiled = fault_type(action.fault).compile(action);
  compiled.rule.syn_only = action.match.new_connections ? 1 : 0;
  if (action.match.flows < 1) {
    // 0 would be all of them.
    compiled.rule.flow_threshold = std::max<__u64>(probability_threshold(action.match.flows), 1);
    compiled.rule.flow_seed = std::random_device()();
  }
  if (action.pulse) {
    compiled.rule.pulse_active_ns = static_cast<__u64>(action.pulse->active.count());
    compiled.rule.pulse_period_ns =
        static_cast<__u64>((action.pulse->active + action.pulse->dormant).count());
  }
  return compiled;
}

std::string dropped_proof(const Counters& counters) {
  if (counters.matched_packets == 0) {
    return kNoPacketMatched;
  }
  return fmt::format("{} of {} matched packets dropped", counters.dropped_packets,
                     counters.matched_packets);
}

}  // namespace holdfast::agent
