// Actions that make no sense at the same time: one would leave the other nothing, or they say
// different things of the same traffic.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/plan.h"

namespace holdfast::plan {

struct Conflict {
  std::size_t action = 0;  // index of the one that is in the way of no other, or comes later
  std::string message;     // names both
  std::string accepted;
};

// Only what is certain from the plan alone: the same target, a match that covers the other's, and
// windows that overlap. Packets on which two matches meet only partly are composed as
// docs/faults.md says.
std::vector<Conflict> find_conflicts(const std::vector<Action>& actions);

}  // namespace holdfast::plan
