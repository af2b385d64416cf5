// Every matched packet vanishes on its way.
#pragma once

#include "agent/fault/fault.h"

namespace holdfast::agent {

FaultType blackhole_fault();

}  // namespace holdfast::agent
