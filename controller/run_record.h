// What a report says of a run before anything has happened, and how the agent's words become the
// report's. The runner fills in the rest.
#pragma once

#include <chrono>
#include <string>

#include "agent/agent.h"
#include "common/plan.h"
#include "controller/report/run_report.h"

namespace holdfast {

// RFC 3339, UTC, whole seconds.
std::string utc_text(std::chrono::system_clock::time_point at);

// The report of a run that begins now: the plan, its probes (those of the hypothesis, then the stop
// conditions, as the plan orders them) and this node.
report::RunReport begin_record(const plan::Experiment& experiment, const std::string& run_id);

// An action that was prepared and not injected yet.
report::ActionReport action_record(const plan::Action& action, const agent::PreparedAction& one);

// The counters of an action of kind `fault`, and what they prove, into `entry`.
void record_counters(const agent::Counters& counters, plan::FaultKind fault,
                     report::ActionReport& entry);

}  // namespace holdfast
