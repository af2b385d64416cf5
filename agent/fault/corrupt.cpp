#include "agent/fault/corrupt.h"

namespace holdfast::agent {
namespace {

CompiledFault compile(const plan::FaultParameters& parameters) {
  CompiledFault compiled = compile_draw(HF_CORRUPT, parameters.draw);
  if (!parameters.corrupt.fix_checksum) {
    compiled.rule.leave_checksum = 1;
    compiled.line = parameters.corrupt;
  }
  return compiled;
}

std::string proof(const Counters& counters) {
  return altered_proof(counters, "corrupted") + line_shortfall(counters);
}

}  // namespace

FaultType corrupt_fault() {
  return {
      .kind = plan::FaultKind::corrupt,
      .compile = compile,
      .proven = [](const Counters& counters) { return counters.altered_packets > 0; },
      .proof = proof,
  };
}

}  // namespace holdfast::agent
