// Text made safe for XML and HTML. Internal to the report writers.
#pragma once

#include <string>
#include <string_view>

namespace holdfast::report {

// Escapes markup, drops characters that XML 1.0 forbids, and replaces bytes that are not UTF-8.
std::string escape(std::string_view text);

}  // namespace holdfast::report
