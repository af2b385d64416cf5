// duplicate: packets that arrive twice.
#pragma once

#include "agent/fault/fault.h"

namespace holdfast::agent {

FaultType duplicate_fault();

}  // namespace holdfast::agent
