// Quantities as plans write them ("250ms", "12.5%"), parsed once and typed from then on.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"

namespace holdfast {

using Duration = std::chrono::nanoseconds;

// A share between 0 and 1. Plans write it in percent: "12.5%".
struct Percent {
  double share = 0;  // 0 to 1
  friend bool operator==(const Percent&, const Percent&) = default;
};

// Parses "250ms", "1m30s", "0.5s". Units: ns, us, ms, s, m, h. A number without a unit, a negative
// one, one that is not a number or beyond 10 years is refused (ErrorKind::usage; the message says
// what is accepted).
Result<Duration> parse_duration(std::string_view text);

// Parses "12.5%": 0% to 100%, with the percent sign.
Result<Percent> parse_percent(std::string_view text);

// Parses "10mbit", "1.5gbit": bits in a second. Units: bit, kbit, mbit, gbit, each a thousand times
// the one before, in upper or lower case. "10mbps" is refused: megabits to some, megabytes to tc.
Result<double> parse_rate(std::string_view text);

// Parses "64KiB", "1500B", "1.5MB". Units: B, kB, MB, GB (powers of 1000), KiB, MiB, GiB (of 1024).
Result<std::uint64_t> parse_bytes(std::string_view text);

// Shortest exact form with units: "1m30s", "250ms", "0s".
std::string format_duration(Duration value);

// For people: three significant digits, "101ms", "0.95us".
std::string format_rounded(Duration value);

// At most 4 significant digits, in the units that are parsed: "9.98mbit", "64KiB", "312.5kB".
std::string format_rate(double bits_per_second);
std::string format_bytes(std::uint64_t bytes);

// At most 4 significant digits: "12.5%", "0.1%".
std::string format_percent(Percent value);

}  // namespace holdfast
