// reorder: packets that others overtake.
#pragma once

#include "agent/fault/fault.h"

namespace holdfast::agent {

FaultType reorder_fault();

}  // namespace holdfast::agent
