// What a rule has the delay line do with its packets.
#pragma once

#include <map>
#include <variant>

#include "common/plan.h"

namespace holdfast::agent {

using LineRule = std::variant<plan::LatencyParams, plan::ReorderParams, plan::BandwidthParams,
                              plan::CorruptParams>;

// By their number in the table.
using LineRules = std::map<std::size_t, LineRule>;

}  // namespace holdfast::agent
