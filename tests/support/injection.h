// Faults without a plan and an agent: rules that are live in a network namespace.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/kernel/kernel.h"

namespace holdfast::test {

// Loaded and live for an hour, each in the direction of its match; not attached yet. `netns` and
// `kernel` outlive it.
Result<std::unique_ptr<agent::kernel::DataPath>> load_live(
    agent::kernel::Kernel& kernel, const agent::kernel::NetNamespace& netns,
    const std::vector<agent::RuleSpec>& rules);

// The interface of that name, as DataPath::attach() takes it. Errors: not_found.
Result<std::vector<agent::kernel::Link>> link_named(agent::kernel::Kernel& kernel,
                                                    const agent::kernel::NetNamespace& netns,
                                                    const std::string& name);

// Both: from now on, and for as long as the result lives, the rules hit what passes there.
Result<std::unique_ptr<agent::kernel::DataPath>> inject(agent::kernel::Kernel& kernel,
                                                        const agent::kernel::NetNamespace& netns,
                                                        const std::vector<agent::RuleSpec>& rules,
                                                        const std::string& interface);

}  // namespace holdfast::test
