#include "agent/fault/reorder.h"

#include <fmt/format.h>

namespace holdfast::agent {
namespace {

CompiledFault compile(const plan::FaultParameters& parameters) {
  CompiledFault compiled = compile_draw(HF_REORDER, parameters.draw);
  compiled.line = parameters.reorder;
  return compiled;
}

std::string proof(const Counters& counters) {
  std::string text = altered_proof(counters, "kept back");
  if (counters.altered_packets > 0) {
    text += fmt::format(", by {} on average", format_rounded(counters.delays.mean));
  }
  return text + line_shortfall(counters);
}

}  // namespace

FaultType reorder_fault() {
  return {
      .kind = plan::FaultKind::reorder,
      .compile = compile,
      .proven = [](const Counters& counters) { return counters.altered_packets > 0; },
      .proof = proof,
  };
}

}  // namespace holdfast::agent
