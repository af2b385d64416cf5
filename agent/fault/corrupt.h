// corrupt: packets with a bit that is wrong.
#pragma once

#include "agent/fault/fault.h"

namespace holdfast::agent {

FaultType corrupt_fault();

}  // namespace holdfast::agent
