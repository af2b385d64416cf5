// The parameters of latency.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "common/yaml_reader.h"

namespace holdfast::plan {
namespace {

using namespace std::chrono_literals;
using Distribution = LatencyParams::Distribution;

constexpr Duration kShortest = 1us;
constexpr Duration kLongest = 10min;
constexpr std::size_t kMostTableEntries = 100'000;
// In the order of Distribution, without the ones that other keys say.
const std::vector<std::string> kDistributions = {"uniform", "normal", "pareto", "paretonormal"};

Duration scaled(Duration value, double factor) {
  return Duration(std::llround(static_cast<double>(value.count()) * factor));
}

void decode_table(Reader& reader, const MapReader& map, LatencyParams& params) {
  const std::string path = map.path("table");
  const std::vector<YAML::Node> entries = reader.list(map.get("table"), path);
  for (std::size_t i = 0; i < std::min(entries.size(), kMostTableEntries); ++i) {
    const auto value =
        reader.duration(entries[i], fmt::format("{}[{}]", path, i), Duration(0), kLongest);
    params.table.push_back(value.value_or(kShortest));
  }
  if (entries.size() < 2 || entries.size() > kMostTableEntries) {
    reader.report(map.get("table"), path, fmt::format("{} delays make no table", entries.size()),
                  fmt::format("2 to {} measured delays, in any order", kMostTableEntries));
    params.table.resize(2, kShortest);
  }
  std::ranges::sort(params.table);
  params.distribution = Distribution::table;
  params.written =
      fmt::format("drawn from {} measured delays, {} to {}", params.table.size(),
                  format_duration(params.table.front()), format_duration(params.table.back()));
  for (const char* key : {"delay", "jitter", "distribution"}) {
    if (map.has(key)) {
      reader.report(map.get(key), map.path(key), "the table says all of that",
                    "table, or delay with jitter and distribution");
    }
  }
}

void decode_jitter(Reader& reader, const MapReader& map, LatencyParams& params) {
  const auto jitter = reader.duration(map.get("jitter"), map.path("jitter"), kShortest, kLongest);
  if (!jitter) {
    return;
  }
  params.jitter = *jitter;
  std::size_t shape = 0;
  if (map.has("distribution")) {
    shape =
        reader.word(map.get("distribution"), map.path("distribution"), kDistributions).value_or(0);
  }
  params.distribution =
      static_cast<Distribution>(shape + static_cast<std::size_t>(Distribution::uniform));
  if (params.jitter > params.delay) {
    reader.report(map.get("jitter"), map.path("jitter"), "more jitter than delay",
                  fmt::format("at most the delay, {}: a packet can't leave before it came",
                              format_duration(params.delay)));
  }
  params.written += fmt::format(" ± {} {}", format_duration(params.jitter), kDistributions[shape]);
}

void decode_delay(Reader& reader, MapReader& map, LatencyParams& params) {
  if (!map.require("delay", "how long: 100ms")) {
    return;
  }
  params.delay =
      reader.duration(map.get("delay"), map.path("delay"), kShortest, kLongest).value_or(kShortest);
  params.written = format_duration(params.delay);
  if (map.has("jitter")) {
    decode_jitter(reader, map, params);
  } else if (map.has("distribution")) {
    reader.report(map.get("distribution"), map.path("distribution"), "of what?",
                  "jitter beside it");
  }
}

void decode_correlation(Reader& reader, const MapReader& map, LatencyParams& params) {
  const auto same = reader.share(map.get("correlation"), map.path("correlation"));
  if (!same) {
    return;
  }
  if (*same >= 1 || params.distribution == Distribution::fixed) {
    reader.report(
        map.get("correlation"), map.path("correlation"),
        *same >= 1 ? "no delay would ever differ from the first" : "delays that are all the same",
        "above 0%, below 100%, with jitter or a table beside it");
    return;
  }
  params.correlation = *same;
  params.written += fmt::format(" with correlation {}", format_percent({*same}));
}

// `of: roundTrip` with both directions: each gives half of the delay, and so much jitter that the
// sum of two independent ones deviates as was asked for.
void decode_of(Reader& reader, const MapReader& map, const Action& action, LatencyParams& params) {
  const bool both = action.match.direction == Direction::both;
  constexpr const char* kAccepted = "direction, roundTrip";
  if (!map.has("of")) {
    if (both) {
      reader.report(map.node(), map.path("of"),
                    "with direction both, the delay of each direction or of a round trip?",
                    kAccepted);
    }
    return;
  }
  const bool round_trip =
      reader.word(map.get("of"), map.path("of"), {"direction", "roundTrip"}) == 1U;
  if (!both) {
    return;  // the other way is not delayed: both mean the same
  }
  if (!round_trip) {
    params.written += " each way";
    return;
  }
  if (params.distribution == Distribution::table) {
    reader.report(map.get("of"), map.path("of"),
                  "round trips can't be drawn from a table in halves",
                  "match.direction to or from, which then gets all of it");
    return;
  }
  params.delay = scaled(params.delay, 0.5);
  params.jitter = scaled(params.jitter, 1 / std::numbers::sqrt2);
  params.written += fmt::format(" a round trip ({} each way)", format_duration(params.delay));
  if (params.jitter > params.delay) {
    reader.report(
        map.get("jitter"), map.path("jitter"), "more jitter than half of it can have",
        fmt::format("at most {}", format_duration(scaled(params.delay, std::numbers::sqrt2))));
  }
}

}  // namespace

void decode_latency(Reader& reader, MapReader& action_map, Action& action) {
  if (!action_map.require("latency", "{delay: 100ms}")) {
    return;
  }
  MapReader map(
      reader, action_map.get("latency"), action_map.path("latency"),
      {"delay", "jitter", "distribution", "correlation", "table", "of", "per", "reorder"});
  LatencyParams& params = action.latency;
  if (map.has("table")) {
    decode_table(reader, map, params);
  } else {
    decode_delay(reader, map, params);
  }
  if (map.has("correlation")) {
    decode_correlation(reader, map, params);
  }
  decode_of(reader, map, action, params);
  if (map.has("reorder")) {
    params.reorder = reader.boolean(map.get("reorder"), map.path("reorder")).value_or(false);
  }
  if (map.has("per") &&
      reader.word(map.get("per"), map.path("per"), {"packet", "connection"}) == 1U) {
    if (action.match.protocol != Protocol::any && action.match.protocol != Protocol::tcp) {
      reader.report(map.get("per"), map.path("per"),
                    fmt::format("{} opens no connections", to_string(action.match.protocol)),
                    "protocol tcp, or per: packet");
    }
    action.match.protocol = Protocol::tcp;
    action.match.connections = Connections::opening;
  }
}

}  // namespace holdfast::plan
