// Trials of what is made by netlink. They act on the calling thread's network namespace and leave
// there what they make: call them only in a namespace that is about to go.
#pragma once

#include "agent/kernel/features.h"

namespace holdfast::agent::kernel {

Feature try_netem(int ifindex);
Feature try_ifb();
Feature try_nf_tables();

}  // namespace holdfast::agent::kernel
