// The reference: matches and counts, and does nothing to a packet.
#pragma once

#include "agent/fault/fault.h"

namespace holdfast::agent {

FaultType noop_fault();

}  // namespace holdfast::agent
