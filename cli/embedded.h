// Controller and agent in one process: what `run` and `explain` have in common.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "agent/agent.h"
#include "cli/command.h"
#include "common/plan.h"
#include "common/result.h"

namespace holdfast::cli {

// Loads the plan; prints what is wrong with it and returns nothing where there is anything.
std::optional<plan::Experiment> load_or_explain(Console& console, const std::string& file);

// Adds --mechanism: how programs are attached, for those who want another than the node's best.
void add_mechanism_option(boost::program_options::options_description& options);

// The agent of this node, after it was made sure that the node can do it. Changes nothing yet.
// Errors: usage (no such mechanism), permission, unsupported.
Result<std::unique_ptr<agent::Agent>> make_local_agent(const Invocation& invocation,
                                                       const std::string& run_id);

// Removes what killed runs left on this node, and says so. Errors: io, permission.
Result<void> clean_up_after_killed_runs();

// Unique on this node, and sorts by time: "20250131-235959-1234".
std::string make_run_id();

}  // namespace holdfast::cli
