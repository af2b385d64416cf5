#include "agent/fault/loss.h"

#include <fmt/format.h>

#include <cmath>

namespace holdfast::agent {
namespace {

// The program drops where a random 32-bit number is below the threshold, so 100% needs the one
// value beyond them all.
constexpr double kRange = 4294967296.0;

CompiledFault compile(const plan::Action& action) {
  const auto threshold = static_cast<__u64>(std::llround(action.loss.percent.share * kRange));
  return {
      .rule = {.deadline_ns = 0, .loss_threshold = threshold, .kind = HF_LOSS, .dns_response = 0},
      .names = {}};
}

std::string proof(const Counters& counters) {
  if (counters.matched_packets == 0) {
    return kNoPacketMatched;
  }
  const double share =
      static_cast<double>(counters.dropped_packets) / static_cast<double>(counters.matched_packets);
  return fmt::format("{} ({})", dropped_proof(counters), format_percent({share}));
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
