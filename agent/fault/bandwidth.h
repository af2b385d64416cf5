// bandwidth: a link of a lower rate, with a queue before it.
#pragma once

#include "agent/fault/fault.h"

namespace holdfast::agent {

FaultType bandwidth_fault();

}  // namespace holdfast::agent
