// Plans of one method, for tests of what is made of its actions.
#pragma once

#include <algorithm>
#include <string>

#include "common/plan_yaml.h"

namespace holdfast::plan {

inline constexpr const char* kHead = R"(apiVersion: holdfast/v1
kind: Experiment
metadata: {name: test}
spec:
  prometheus: {url: "http://127.0.0.1:9090"}
  steadyStateHypothesis:
    probes:
      - {name: up, type: prometheus, query: up, tolerance: ">= 1"}
  method:
)";

inline ParseOutcome parse(const std::string& method) {
  return parse_plan(kHead + method, "plan.yaml");
}

inline bool says(const ParseOutcome& outcome, const std::string& words) {
  return std::any_of(
      outcome.diagnostics.begin(), outcome.diagnostics.end(),
      [&](const Diagnostic& one) { return one.text().find(words) != std::string::npos; });
}

}  // namespace holdfast::plan
