#include "agent/fault/fault.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "agent/fault/bandwidth.h"
#include "agent/fault/blackhole.h"
#include "agent/fault/corrupt.h"
#include "agent/fault/dns.h"
#include "agent/fault/duplicate.h"
#include "agent/fault/latency.h"
#include "agent/fault/loss.h"
#include "agent/fault/noop.h"
#include "agent/fault/reorder.h"

namespace holdfast::agent {

const FaultType& fault_type(plan::FaultKind kind) {
  // An explicit list: a linker drops objects that only register themselves.
  static const std::array kTypes = {noop_fault(),      blackhole_fault(), loss_fault(),
                                    dns_fault(),       latency_fault(),   bandwidth_fault(),
                                    duplicate_fault(), reorder_fault(),   corrupt_fault()};
  return *std::find_if(kTypes.begin(), kTypes.end(),
                       [kind](const FaultType& type) { return type.kind == kind; });
}

namespace {

hf_connections to_abi(plan::Connections connections) {
  switch (connections) {
    case plan::Connections::all:
      return HF_ALL_CONNECTIONS;
    case plan::Connections::opening:
      return HF_NEW_CONNECTIONS;
    case plan::Connections::existing:
      return HF_EXISTING_CONNECTIONS;
  }
  return HF_ALL_CONNECTIONS;
}

}  // namespace

__u64 probability_threshold(double probability) {
  // A random 32-bit number is below it, so what always happens needs the one value beyond them all.
  constexpr double kRange = 4294967296.0;
  return static_cast<__u64>(std::llround(probability * kRange));
}

CompiledFault compile_fault(const plan::Action& action) {
  CompiledFault compiled = fault_type(action.fault).compile(action);
  compiled.rule.connections = static_cast<__u32>(to_abi(action.match.connections));
  const bool fewer = std::ranges::any_of(
      action.schedule, [](const plan::ScheduledParameters& then) { return then.flows < 1; });
  if (action.match.flows < 1 || fewer) {
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

CompiledFault compile_draw(hf_kind kind, const plan::Draw& draw) {
  CompiledFault compiled;
  hf_rule& rule = compiled.rule;
  rule.kind = kind;
  switch (draw.how) {
    case plan::Draw::How::random:
      rule.draw_how = HF_DRAW_RANDOM;
      rule.draw_threshold = probability_threshold(draw.percent.share);
      break;
    case plan::Draw::How::chain:
      rule.draw_how = HF_DRAW_CHAIN;
      rule.draw_threshold = probability_threshold(draw.chain.hit_in_good);
      rule.chain_threshold_in_bad = probability_threshold(draw.chain.hit_in_bad);
      rule.chain_to_bad = probability_threshold(draw.chain.to_bad);
      rule.chain_to_good = probability_threshold(draw.chain.to_good);
      break;
    case plan::Draw::How::every:
      rule.draw_how = HF_DRAW_EVERY;
      rule.draw_every = static_cast<__u32>(draw.every);
      break;
  }
  return compiled;
}

std::string altered_proof(const Counters& counters, const char* done) {
  if (counters.matched_packets == 0) {
    return kNoPacketMatched;
  }
  const double share =
      static_cast<double>(counters.altered_packets) / static_cast<double>(counters.matched_packets);
  return fmt::format("{} of {} matched packets {} ({})", counters.altered_packets,
                     counters.matched_packets, done, format_percent({share}));
}

std::string line_shortfall(const Counters& counters) {
  return counters.undelayed_packets == 0
             ? ""
             : fmt::format("; {} were let through, since the delay line could not take them",
                           counters.undelayed_packets);
}

std::string dropped_proof(const Counters& counters) {
  if (counters.matched_packets == 0) {
    return kNoPacketMatched;
  }
  return fmt::format("{} of {} matched packets dropped", counters.dropped_packets,
                     counters.matched_packets);
}

}  // namespace holdfast::agent
