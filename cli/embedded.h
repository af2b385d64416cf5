// Controller and agent in one process: what `run` and `explain` have in common.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "agent/agent.h"
#include "cli/command.h"
#include "common/plan.h"

namespace holdfast::cli {

// Loads the plan; prints what is wrong with it and returns nothing where there is anything.
std::optional<plan::Experiment> load_or_explain(Console& console, const std::string& file);

// The agent of this node, after it was made sure that the node can do it and what killed runs left
// was removed. Errors: permission, unsupported.
Result<std::unique_ptr<agent::Agent>> make_local_agent(const std::string& run_id);

// Unique on this node, and sorts by time: "20250131-235959-1234".
std::string make_run_id();

}  // namespace holdfast::cli
