// Text of others, fit for a terminal.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// In one line, and without the control characters (C1 ones in UTF-8, too) with which a name in a
// plan or a label of a Prometheus could steer the terminal.
std::string printable(std::string_view text);

}  // namespace holdfast
