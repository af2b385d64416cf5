#include "agent/fault/duplicate.h"

namespace holdfast::agent {
namespace {

CompiledFault compile(const plan::FaultParameters& parameters) {
  return compile_draw(HF_DUPLICATE, parameters.draw);
}

std::string proof(const Counters& counters) {
  return altered_proof(counters, "duplicated");
}

}  // namespace

FaultType duplicate_fault() {
  return {
      .kind = plan::FaultKind::duplicate,
      .compile = compile,
      .proven = [](const Counters& counters) { return counters.altered_packets > 0; },
      .proof = proof,
  };
}

}  // namespace holdfast::agent
