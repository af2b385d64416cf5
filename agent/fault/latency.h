#pragma once

#include "agent/fault/fault.h"

namespace holdfast::agent {

FaultType latency_fault();

}  // namespace holdfast::agent
