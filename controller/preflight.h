// What is asked about a plan before anything is touched, beside what the agent checks on its node.
#pragma once

#include <vector>

#include "agent/agent.h"
#include "common/plan.h"
#include "common/result.h"
#include "controller/verify/probe_evaluator.h"

namespace holdfast {

// The endpoints that the agent must not be cut off from, as the plan names them.
std::vector<agent::ProtectedPeer> peers_of(const plan::Experiment& experiment);

// Asks the server about every query. Errors: usage (the server does not take one, with its place in
// the plan), unavailable (could not be asked).
Result<void> check_queries(const std::vector<const plan::Probe*>& probes,
                           const verify::EvaluatorFactory& factory);

}  // namespace holdfast
