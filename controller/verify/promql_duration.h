// Durations as PromQL and the Prometheus API write them ("5m", "1h30m", "500ms").
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::verify {

// Units y, w, d, h, m, s, ms, each at most once and in this order; or a plain number of seconds
// ("300", "0.5"). Empty: not a duration, negative, or longer than 100 years. Not for plans: those
// are common/units.h.
std::optional<std::chrono::milliseconds> parse_promql_duration(std::string_view text);

// "10000ms": a form that every server reads.
std::string format_promql_duration(std::chrono::milliseconds value);

}  // namespace holdfast::verify
