#include "controller/verify/promql_duration.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace holdfast::verify {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kDay = 24 * 3600 * kSecond;
constexpr std::int64_t kLongest = 100 * 365 * kDay;

struct Unit {
  std::string_view name;
  std::int64_t length;  // in milliseconds
};
// Longest first: the order in which a duration must name them.
constexpr std::array<Unit, 7> kUnits{{{"y", 365 * kDay},
                                      {"w", 7 * kDay},
                                      {"d", kDay},
                                      {"h", 3600 * kSecond},
                                      {"m", 60 * kSecond},
                                      {"s", kSecond},
                                      {"ms", 1}}};

std::optional<milliseconds> parse_plain_seconds(std::string_view text) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(seconds) ||
      seconds < 0 || seconds * kSecond > static_cast<double>(kLongest)) {
    return std::nullopt;
  }
  return milliseconds(std::llround(seconds * kSecond));
}

}  // namespace

std::optional<milliseconds> parse_promql_duration(std::string_view text) {
  if (text.empty()) {
    return std::nullopt;
  }
  std::string_view rest = text;
  std::size_t next_unit = 0;
  std::int64_t total = 0;
  while (!rest.empty()) {
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), count);
    if (error != std::errc() || count < 0) {
      return parse_plain_seconds(text);
    }
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const std::string_view name = rest.substr(0, rest.find_first_of("0123456789"));
    while (next_unit < kUnits.size() && kUnits[next_unit].name != name) {
      ++next_unit;
    }
    if (next_unit == kUnits.size()) {
      return parse_plain_seconds(text);
    }
    const std::int64_t length = kUnits[next_unit++].length;
    if (count > (kLongest - total) / length) {
      return std::nullopt;
    }
    total += count * length;
    rest.remove_prefix(name.size());
  }
  return milliseconds(total);
}

std::string format_promql_duration(milliseconds value) {
  return fmt::format("{}ms", value.count());
}

}  // namespace holdfast::verify
