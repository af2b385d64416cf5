// What an action's rule needs before it can be loaded, and what it is in words.
#pragma once

#include <string>
#include <vector>

#include "agent/rule_table.h"
#include "agent/target/target.h"

namespace holdfast::agent {

// Host names of the match become addresses, once, before anything is injected; `notes` says which.
// Errors: unavailable, not_found.
Result<void> resolve_hosts(plan::Match& match, std::vector<std::string>& notes);

// In plain words, a line for each rule.
std::vector<std::string> describe_rule(const RuleSpec& rule, const plan::Action& action);

// What the delay line makes of a target: nothing is handed to it over loopback (bpf/apply.bpf.h).
// Errors: unsupported, where there is nothing else.
Result<void> check_line(const ResolvedTarget& target, std::vector<std::string>& notes);

}  // namespace holdfast::agent
