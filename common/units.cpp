#include "common/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <ranges>

namespace holdfast {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t nanoseconds;
};
// Longest names first, so that "ms" is not read as "m".
constexpr std::array<Unit, 6> kUnits = {{{"ns", 1},
                                         {"us", 1'000},
                                         {"ms", 1'000'000},
                                         {"s", 1'000'000'000},
                                         {"m", 60'000'000'000},
                                         {"h", 3'600'000'000'000}}};
constexpr std::int64_t kLongest = 10LL * 365 * 24 * 3'600'000'000'000;

std::unexpected<Error> bad_duration(std::string_view text, std::string_view why) {
  return fail(ErrorKind::usage, fmt::format("\"{}\" is not a duration: {}", text, why),
              "a number with a unit: 250ms, 1.5s, 1m30s (ns, us, ms, s, m, h)");
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// "12.5" times `unit`, without the rounding of a floating-point number. -1: too large.
std::int64_t scale(std::string_view whole, std::string_view fraction, std::int64_t unit) {
  std::int64_t value = 0;
  for (const char c : whole) {
    if (__builtin_mul_overflow(value, std::int64_t{10}, &value) ||
        __builtin_add_overflow(value, std::int64_t{c - '0'}, &value)) {
      return -1;
    }
  }
  if (__builtin_mul_overflow(value, unit, &value)) {
    return -1;
  }
  std::int64_t step = unit;
  for (const char c : fraction) {
    step /= 10;
    value += step * (c - '0');
  }
  return value > kLongest ? -1 : value;
}

std::string_view take_digits(std::string_view& rest) {
  std::size_t n = 0;
  while (n < rest.size() && is_digit(rest[n])) {
    ++n;
  }
  const std::string_view digits = rest.substr(0, n);
  rest.remove_prefix(n);
  return digits;
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  if (text.empty()) {
    return bad_duration(text, "it is empty");
  }
  if (text.front() == '-') {
    return bad_duration(text, "it is negative");
  }
  std::int64_t total = 0;
  std::int64_t last_unit = std::numeric_limits<std::int64_t>::max();
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view whole = take_digits(rest);
    std::string_view fraction;
    if (rest.starts_with('.')) {
      rest.remove_prefix(1);
      fraction = take_digits(rest);
      if (fraction.empty()) {
        return bad_duration(text, "digits are missing after the point");
      }
    }
    if (whole.empty()) {
      return bad_duration(text, "a number is missing");
    }
    const Unit* found = nullptr;
    for (const Unit& unit : kUnits) {
      if (rest.starts_with(unit.name)) {
        found = &unit;
        break;
      }
    }
    if (found == nullptr) {
      return bad_duration(text, rest.empty() ? "the unit is missing" : "the unit is not known");
    }
    if (found->nanoseconds >= last_unit) {
      return bad_duration(text, "units go from large to small");
    }
    last_unit = found->nanoseconds;
    rest.remove_prefix(found->name.size());
    const std::int64_t part = scale(whole, fraction, found->nanoseconds);
    if (part < 0 || total + part > kLongest) {
      return bad_duration(text, "it is longer than 10 years");
    }
    total += part;
  }
  return Duration(total);
}

Result<Percent> parse_percent(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return fail(ErrorKind::usage, fmt::format("\"{}\" is not a percentage: {}", text, why),
                "0% to 100%, such as 12.5%");
  };
  if (!text.ends_with('%')) {
    return bad("the percent sign is missing");
  }
  const std::string_view number = text.substr(0, text.size() - 1);
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value,
                                            std::chars_format::fixed);
  if (error != std::errc() || end != number.data() + number.size() || number.empty()) {
    return bad("no number stands before the sign");
  }
  if (!(value >= 0 && value <= 100)) {
    return bad("out of range");
  }
  return Percent{value / 100};
}

std::string format_duration(Duration value) {
  std::int64_t rest = value.count();
  if (rest == 0) {
    return "0s";
  }
  std::string text = rest < 0 ? "-" : "";
  rest = rest < 0 ? -rest : rest;
  for (const auto& unit : kUnits | std::views::reverse) {
    if (rest >= unit.nanoseconds) {
      text += fmt::format("{}{}", rest / unit.nanoseconds, unit.name);
      rest %= unit.nanoseconds;
    }
  }
  return text;
}

std::string format_rounded(Duration value) {
  const Unit* unit = &kUnits[0];
  for (const Unit& one : kUnits | std::views::take(4)) {  // up to seconds
    unit = value.count() >= one.nanoseconds ? &one : unit;
  }
  const double number = static_cast<double>(value.count()) / static_cast<double>(unit->nanoseconds);
  return number < 100 ? fmt::format("{:.3g}{}", number, unit->name)
                      : fmt::format("{:.0f}{}", number, unit->name);
}

std::string format_percent(Percent value) {
  return fmt::format("{:.4g}%", value.share * 100);
}

}  // namespace holdfast
