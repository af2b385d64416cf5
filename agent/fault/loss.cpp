#include "agent/fault/loss.h"

#include <fmt/format.h>

namespace holdfast::agent {
namespace {

CompiledFault compile(const plan::Action& action) {
  const plan::LossParams& loss = action.loss;
  CompiledFault compiled;
  hf_rule& rule = compiled.rule;
  rule.kind = HF_LOSS;
  switch (loss.how) {
    case plan::LossParams::How::random:
      rule.loss_how = HF_LOSS_RANDOM;
      rule.loss_threshold = probability_threshold(loss.percent.share);
      break;
    case plan::LossParams::How::chain:
      rule.loss_how = HF_LOSS_CHAIN;
      rule.loss_threshold = probability_threshold(loss.chain.loss_in_good);
      rule.chain_loss_in_bad = probability_threshold(loss.chain.loss_in_bad);
      rule.chain_to_bad = probability_threshold(loss.chain.to_bad);
      rule.chain_to_good = probability_threshold(loss.chain.to_good);
      break;
    case plan::LossParams::How::every:
      rule.loss_how = HF_LOSS_EVERY;
      rule.loss_every = static_cast<__u32>(loss.every);
      break;
  }
  return compiled;
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
