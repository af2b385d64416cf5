// Each matched packet is lost with a given probability, on its own.
#pragma once

#include "agent/fault/fault.h"

namespace holdfast::agent {

FaultType loss_fault();

}  // namespace holdfast::agent
