// Queries for the given names are answered with an error in the kernel, or vanish.
#pragma once

#include "agent/fault/fault.h"

namespace holdfast::agent {

FaultType dns_fault();

}  // namespace holdfast::agent
