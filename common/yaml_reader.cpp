#include "common/yaml_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "common/suggest.h"

namespace holdfast::plan {
namespace {

std::string kind_of(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Null:
      return "nothing";
    case YAML::NodeType::Scalar:
      return "a single value";
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Map:
      return "a map";
    default:
      return "nothing";
  }
}

std::string shorten(const std::string& text) {
  constexpr std::size_t kShown = 60;
  std::string shown = text.substr(0, kShown);
  std::replace_if(
      shown.begin(), shown.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return text.size() > kShown ? shown + "…" : shown;
}

bool has_control_characters(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) {
    return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
  });
}

}  // namespace

Location Reader::locate(const YAML::Node& node, const std::string& path) const {
  if (!node.IsDefined() || node.Mark().is_null()) {
    return {file_, 0, 0, path};
  }
  return {file_, node.Mark().line + 1, node.Mark().column + 1, path};
}

void Reader::report(const YAML::Node& node, const std::string& path, std::string message,
                    std::string accepted, std::string suggestion) {
  std::string found;
  if (node.IsDefined()) {
    found = node.IsScalar() ? fmt::format("\"{}\"", shorten(node.Scalar())) : kind_of(node);
  }
  diagnostics_.push_back({locate(node, path), std::move(message), std::move(found),
                          std::move(accepted), std::move(suggestion)});
}

void Reader::report(const YAML::Node& node, const std::string& path, const Error& error) {
  report(node, path, error.message, error.cure);
}

std::optional<std::string> Reader::text(const YAML::Node& node, const std::string& path,
                                        std::size_t longest) {
  if (!node.IsScalar() || node.Scalar().empty()) {
    report(node, path, "a text is wanted here", "a text that is not empty");
    return std::nullopt;
  }
  if (node.Scalar().size() > longest) {
    report(node, path, "too long", fmt::format("at most {} bytes", longest));
    return std::nullopt;
  }
  if (has_control_characters(node.Scalar())) {
    report(node, path, "control characters in a text", "printable characters");
    return std::nullopt;
  }
  return node.Scalar();
}

std::vector<YAML::Node> Reader::list(const YAML::Node& node, const std::string& path) {
  if (!node.IsSequence()) {
    report(node, path, "a list is wanted here",
           node.IsScalar() ? fmt::format("[{}]", shorten(node.Scalar())) : "a list: [a, b]");
    return {};
  }
  return {node.begin(), node.end()};
}

std::optional<std::size_t> Reader::word(const YAML::Node& node, const std::string& path,
                                        const std::vector<std::string>& accepted) {
  const std::string written = node.IsScalar() ? node.Scalar() : "";
  const auto found = std::find(accepted.begin(), accepted.end(), written);
  if (found != accepted.end()) {
    return static_cast<std::size_t>(found - accepted.begin());
  }
  report(node, path, "not one of the accepted words", fmt::format("{}", fmt::join(accepted, ", ")),
         suggest(written, accepted).value_or(""));
  return std::nullopt;
}

void Reader::allow_schedules(Duration longest) {
  schedules_allowed_ = true;
  longest_schedule_ = longest;
  moment_ = Duration(0);
  changes_.clear();
}

// `read(node, path, in_schedule)` reads one value.
template <class T, class Read>
std::optional<T> Reader::scheduled(const YAML::Node& node, const std::string& path,
                                   const Read& read) {
  if (!schedules_allowed_ || !node.IsMap()) {
    return read(node, path, false);
  }
  constexpr Duration kShortest = std::chrono::milliseconds(100);
  constexpr long kMostSteps = 100;
  MapReader map(*this, node, path, {"from", "to", "over", "steps"});
  if (!map.require("from", "what it begins with") || !map.require("to", "what it ends with") ||
      !map.require("over", "how long it takes: 30s")) {
    return std::nullopt;
  }
  const std::optional<T> from = read(map.get("from"), map.path("from"), true);
  const std::optional<T> to = read(map.get("to"), map.path("to"), true);
  schedules_allowed_ = false;  // none within one
  const auto over = duration(map.get("over"), map.path("over"), kShortest,
                             std::max(kShortest, longest_schedule_));
  auto steps =
      std::optional<long>(std::clamp<long>(over.value_or(kShortest) / kShortest, 1, kMostSteps));
  if (map.has("steps")) {
    steps = integer(map.get("steps"), map.path("steps"), 1, kMostSteps);
  }
  schedules_allowed_ = true;
  if (!from || !to || !over || !steps) {
    return std::nullopt;
  }
  if (*from == *to) {
    report(node, path, "from and to are the same", "two values, or one alone");
    return std::nullopt;
  }
  for (long i = 1; i <= *steps; ++i) {
    changes_.insert(*over * i / *steps);
  }
  long done = 0;
  while (done < *steps && *over * (done + 1) / *steps <= moment_) {
    ++done;
  }
  const double progress = static_cast<double>(done) / static_cast<double>(*steps);
  if constexpr (std::is_same_v<T, double>) {
    return *from + (*to - *from) * progress;
  } else if constexpr (std::is_same_v<T, Duration>) {
    return *from + Duration(std::llround(static_cast<double>((*to - *from).count()) * progress));
  } else {
    const double first = static_cast<double>(*from);
    return static_cast<T>(std::llround(first + (static_cast<double>(*to) - first) * progress));
  }
}

std::optional<long> Reader::integer(const YAML::Node& node, const std::string& path, long least,
                                    long most) {
  const auto read = [&](const YAML::Node& one, const std::string& at, bool) -> std::optional<long> {
    const std::string written = one.IsScalar() ? one.Scalar() : "";
    long value = 0;
    const auto [end, error] =
        std::from_chars(written.data(), written.data() + written.size(), value);
    if (written.empty() || error != std::errc() || end != written.data() + written.size() ||
        value < least || value > most) {
      report(one, at, "not a whole number in range", fmt::format("{} to {}", least, most));
      return std::nullopt;
    }
    return value;
  };
  return scheduled<long>(node, path, read);
}

std::optional<double> Reader::share(const YAML::Node& node, const std::string& path, bool or_none) {
  const auto read = [&](const YAML::Node& one, const std::string& at,
                        bool in_schedule) -> std::optional<double> {
    const auto percent = parse_percent(one.IsScalar() ? one.Scalar() : "");
    if (!percent) {
      report(one, at, percent.error());
      return std::nullopt;
    }
    if (percent->share <= 0 && !or_none && !in_schedule) {
      report(one, at, "nothing at all", "above 0%, at most 100%");
      return std::nullopt;
    }
    return percent->share;
  };
  return scheduled<double>(node, path, read);
}

std::optional<double> Reader::number(const YAML::Node& node, const std::string& path) {
  const auto read = [&](const YAML::Node& one, const std::string& at,
                        bool) -> std::optional<double> {
    const std::string written = one.IsScalar() ? one.Scalar() : "";
    double value = 0;
    const auto [end, error] =
        std::from_chars(written.data(), written.data() + written.size(), value);
    if (written.empty() || error != std::errc() || end != written.data() + written.size() ||
        !std::isfinite(value)) {
      report(one, at, "not a number", "a number such as 4 or 2.5");
      return std::nullopt;
    }
    return value;
  };
  return scheduled<double>(node, path, read);
}

std::optional<bool> Reader::boolean(const YAML::Node& node, const std::string& path) {
  const auto index = word(node, path, {"true", "false"});
  return index ? std::optional(*index == 0) : std::nullopt;
}

std::optional<Duration> Reader::duration(const YAML::Node& node, const std::string& path,
                                         Duration least, Duration most) {
  const auto read = [&](const YAML::Node& one, const std::string& at,
                        bool in_schedule) -> std::optional<Duration> {
    if (!one.IsScalar()) {
      report(one, at, "a duration is wanted here", "a number with a unit: 250ms, 10s, 1m30s");
      return std::nullopt;
    }
    auto parsed = parse_duration(one.Scalar());
    if (!parsed) {
      report(one, at, parsed.error());
      return std::nullopt;
    }
    const bool none = in_schedule && *parsed == Duration(0);
    if ((*parsed < least && !none) || *parsed > most) {
      report(one, at, "out of range",
             fmt::format("{} to {}", format_duration(least), format_duration(most)));
      return std::nullopt;
    }
    return *parsed;
  };
  return scheduled<Duration>(node, path, read);
}

std::optional<double> Reader::rate(const YAML::Node& node, const std::string& path, double least,
                                   double most) {
  const auto read = [&](const YAML::Node& one, const std::string& at,
                        bool) -> std::optional<double> {
    const auto parsed = parse_rate(one.IsScalar() ? one.Scalar() : "");
    if (!parsed) {
      report(one, at, parsed.error());
      return std::nullopt;
    }
    if (*parsed < least || *parsed > most) {
      report(one, at, "out of range",
             fmt::format("{} to {}", format_rate(least), format_rate(most)));
      return std::nullopt;
    }
    return *parsed;
  };
  return scheduled<double>(node, path, read);
}

std::optional<std::uint64_t> Reader::bytes(const YAML::Node& node, const std::string& path,
                                           std::uint64_t most) {
  const auto read = [&](const YAML::Node& one, const std::string& at,
                        bool) -> std::optional<std::uint64_t> {
    const auto parsed = parse_bytes(one.IsScalar() ? one.Scalar() : "");
    if (!parsed) {
      report(one, at, parsed.error());
      return std::nullopt;
    }
    if (*parsed > most) {
      report(one, at, "out of range", fmt::format("at most {}", format_bytes(most)));
      return std::nullopt;
    }
    return *parsed;
  };
  return scheduled<std::uint64_t>(node, path, read);
}

MapReader::MapReader(Reader& reader, const YAML::Node& node, std::string path,
                     const std::vector<std::string>& keys)
    : reader_(reader), node_(node), path_(std::move(path)) {
  if (!node.IsMap()) {
    reader.report(node, path_, "a map is wanted here",
                  fmt::format("a map with the keys {}", fmt::join(keys, ", ")));
    return;
  }
  valid_ = true;
  for (const auto& entry : node) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
    const std::string key_path = this->path(key);
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      reader.report(entry.first, key_path, "unknown key", fmt::format("{}", fmt::join(keys, ", ")),
                    suggest(key, keys).value_or(""));
    } else if (!values_.emplace(key, entry.second).second) {
      reader.report(entry.first, key_path, "duplicate key", "each key once");
    }
  }
}

YAML::Node MapReader::get(const std::string& key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? YAML::Node(YAML::NodeType::Undefined) : found->second;
}

bool MapReader::require(const std::string& key, const std::string& accepted) {
  if (valid_ && !has(key)) {
    reader_.report(node_, path(key), fmt::format("key \"{}\" is missing", key), accepted);
  }
  return has(key);
}

std::optional<std::string> MapReader::text(const std::string& key, std::size_t longest) {
  return has(key) ? reader_.text(get(key), path(key), longest) : std::nullopt;
}

}  // namespace holdfast::plan
