// SHA-256 (FIPS 180-4), by which a report names the very plan that was run.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// 64 lower-case hexadecimal digits, as sha256sum(1) prints them.
std::string sha256_hex(std::string_view bytes);

}  // namespace holdfast
