#include "common/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
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

struct Scale {
  std::string_view name;
  double factor;
};
constexpr std::array<Scale, 4> kRates = {{{"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}}};
constexpr std::array<Scale, 7> kSizes = {{{"b", 1},
                                          {"kb", 1e3},
                                          {"mb", 1e6},
                                          {"gb", 1e9},
                                          {"kib", 1024},
                                          {"mib", 1048576},
                                          {"gib", 1073741824}}};

// A number with one of `units` behind it. Empty: it is none.
template <std::size_t N>
std::optional<double> scaled(std::string_view text, const std::array<Scale, N>& units) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || !(value >= 0)) {
    return std::nullopt;
  }
  std::string unit(text.substr(static_cast<std::size_t>(end - text.data())));
  std::ranges::transform(unit, unit.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto found = std::ranges::find(units, std::string_view(unit), &Scale::name);
  return found == units.end() ? std::nullopt : std::optional(value * found->factor);
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

Result<double> parse_rate(std::string_view text) {
  const auto rate = scaled(text, kRates);
  if (!rate) {
    return fail(ErrorKind::usage, fmt::format("\"{}\" is not a rate", text),
                "a number with a unit: 10mbit, 1.5gbit (bit, kbit, mbit, gbit in a second)");
  }
  return *rate;
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
  const auto bytes = scaled(text, kSizes);
  if (!bytes || *bytes > 1e15) {
    return fail(ErrorKind::usage, fmt::format("\"{}\" is not a number of bytes", text),
                "a number with a unit: 1500B, 64KiB (B, kB, MB, GB, KiB, MiB, GiB)");
  }
  return static_cast<std::uint64_t>(std::llround(*bytes));
}

std::string format_rate(double bits_per_second) {
  const Scale* unit = &kRates[0];
  for (const Scale& one : kRates) {
    unit = bits_per_second >= one.factor ? &one : unit;
  }
  return fmt::format("{:.4g}{}", bits_per_second / unit->factor, unit->name);
}

std::string format_bytes(std::uint64_t bytes) {
  constexpr std::array<Scale, 4> kBinary = {
      {{"B", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}}};
  constexpr std::array<Scale, 4> kDecimal = {{{"B", 1}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}}};
  const bool binary = bytes > 0 && bytes % 1024 == 0;
  const auto& units = binary ? kBinary : kDecimal;
  const Scale* unit = units.data();
  for (const Scale& one : units) {
    unit = static_cast<double>(bytes) >= one.factor ? &one : unit;
  }
  return fmt::format("{:.4g}{}", static_cast<double>(bytes) / unit->factor, unit->name);
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
