#include "controller/verify/prometheus_response.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "controller/verify/promql_duration.h"

namespace holdfast::verify {
namespace {

using nlohmann::json;
using Kind = ApiError::Kind;

std::unexpected<ApiError> error(Kind kind, std::string message) {
  return std::unexpected(ApiError{kind, std::move(message)});
}

std::unexpected<ApiError> malformed(std::string_view what) {
  return error(Kind::malformed, fmt::format("the server's answer is malformed: {}", what));
}

// The member as an object, array or string; null where there is none: callers check the type they
// need.
const json& member(const json& object, const char* key) {
  static const json kNull;
  if (!object.is_object()) {
    return kNull;
  }
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

std::string text_of(const json& value) {
  const auto* text = value.get_ptr<const json::string_t*>();
  return text == nullptr ? std::string() : *text;
}

std::string http_words(long status) {
  std::string_view meaning;
  switch (status) {
    case 401:
      meaning = " (not authorized: check the credentials in the plan)";
      break;
    case 403:
      meaning = " (forbidden: the credentials don't allow this)";
      break;
    case 404:
      meaning = " (not found: is the url that of a Prometheus server?)";
      break;
    case 502:
    case 503:
    case 504:
      meaning = " (the server, or what stands behind it, is not available)";
      break;
    default:
      break;
  }
  return fmt::format("the server answered HTTP {}{}", status, meaning);
}

Kind kind_of(const std::string& error_type) {
  if (error_type == "bad_data") {
    return Kind::bad_query;
  }
  return error_type == "execution" ? Kind::execution : Kind::refused;
}

// The whole answer where it is a success; its `data` is at least not null.
ApiResult<json> parse_envelope(long http_status, std::string_view body) {
  json answer = json::parse(body, nullptr, /*allow_exceptions=*/false);
  const std::string status = text_of(member(answer, "status"));
  if (status == "error") {
    const std::string type = text_of(member(answer, "errorType"));
    return error(kind_of(type), fmt::format("the server says {}: {}", one_line(type, 40),
                                            one_line(text_of(member(answer, "error")))));
  }
  if (http_status != 200) {
    return error(Kind::refused, http_words(http_status));
  }
  if (answer.is_discarded()) {
    return malformed("not JSON");
  }
  if (status != "success" || member(answer, "data").is_null()) {
    return malformed("no status \"success\" with data");
  }
  return answer;
}

std::optional<Labels> parse_labels(const json& object) {
  if (!object.is_object()) {
    return std::nullopt;
  }
  Labels labels;
  for (const auto& [name, value] : object.items()) {
    if (!value.is_string()) {
      return std::nullopt;
    }
    labels.emplace(name, text_of(value));
  }
  return labels;
}

// `[1700000000.123, "0.5"]`
bool parse_point(const json& point, double& time, double& value) {
  if (!point.is_array() || point.size() != 2 || !point[0].is_number() || !point[1].is_string()) {
    return false;
  }
  const auto number = parse_sample_number(text_of(point[1]));
  time = point[0].get<double>();
  value = number.value_or(0);
  return number.has_value();
}

bool parse_vector_element(const json& element, QueryResult& result) {
  Sample sample;
  auto labels = parse_labels(member(element, "metric"));
  if (!labels) {
    return false;
  }
  sample.labels = std::move(*labels);
  if (const json& histogram = member(element, "histogram"); histogram.is_array()) {
    if (histogram.size() != 2 || !histogram[0].is_number()) {
      return false;
    }
    sample.histogram = true;
    sample.value = std::numeric_limits<double>::quiet_NaN();
    result.evaluated_at = histogram[0].get<double>();
  } else if (!parse_point(member(element, "value"), result.evaluated_at, sample.value)) {
    return false;
  }
  result.samples.push_back(std::move(sample));
  return true;
}

ApiResult<QueryResult> parse_result(const json& data) {
  QueryResult result;
  const std::string type = text_of(member(data, "resultType"));
  const json& values = member(data, "result");
  if (!values.is_array()) {
    return malformed("the result is not a list");
  }
  if (type == "matrix" || type == "string") {
    result.type = type == "matrix" ? QueryResult::Type::matrix : QueryResult::Type::string;
    return result;
  }
  if (type == "scalar") {
    Sample sample;
    if (!parse_point(values, result.evaluated_at, sample.value)) {
      return malformed("a scalar that is not a time and a number");
    }
    result.type = QueryResult::Type::scalar;
    result.samples.push_back(std::move(sample));
    return result;
  }
  if (type != "vector") {
    return malformed(fmt::format("unknown result type \"{}\"", one_line(type, 40)));
  }
  for (const json& element : values) {
    if (!parse_vector_element(element, result)) {
      return malformed("a sample that is not labels, a time and a number");
    }
  }
  return result;
}

// The value of `key` in the block `global:` of the configuration. The server prints it itself from
// what it runs with: two blanks deep, defaults filled in. That is little enough to do without a
// YAML parser here.
std::optional<std::chrono::milliseconds> global_setting(std::string_view yaml,
                                                        std::string_view key) {
  bool inside = false;
  while (!yaml.empty()) {
    const std::string_view line = yaml.substr(0, yaml.find('\n'));
    yaml.remove_prefix(std::min(line.size() + 1, yaml.size()));
    if (!line.starts_with(' ')) {
      inside = line == "global:";
    } else if (inside && line.starts_with("  ") && line.substr(2).starts_with(key) &&
               line.substr(2 + key.size()).starts_with(": ")) {
      return parse_promql_duration(line.substr(2 + key.size() + 2));
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<double> parse_sample_number(std::string_view text) {
  if (text == "NaN") {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (text == "+Inf" || text == "-Inf") {
    return text.front() == '+' ? std::numeric_limits<double>::infinity()
                               : -std::numeric_limits<double>::infinity();
  }
  // from_chars reads "inf" and "nan(…)" too: not the API's words.
  if (text.find_first_not_of("0123456789+-.eE") != std::string_view::npos) {
    return std::nullopt;
  }
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

ApiResult<QueryResult> parse_query_response(long http_status, std::string_view body) {
  const auto answer = parse_envelope(http_status, body);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  auto result = parse_result(member(*answer, "data"));
  if (!result) {
    return result;
  }
  const json& warnings = member(*answer, "warnings");
  if (!warnings.is_null() && !warnings.is_array()) {
    return malformed("the warnings are not a list");
  }
  for (const json& warning : warnings) {
    result->warnings.push_back(one_line(text_of(warning)));
  }
  return result;
}

ApiResult<std::vector<ScrapeTarget>> parse_targets_response(long http_status,
                                                            std::string_view body) {
  const auto answer = parse_envelope(http_status, body);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  const json& active = member(member(*answer, "data"), "activeTargets");
  if (!active.is_array()) {
    return malformed("no list of active targets");
  }
  std::vector<ScrapeTarget> targets;
  for (const json& entry : active) {
    const json& labels = member(entry, "labels");
    const auto interval = parse_promql_duration(text_of(member(entry, "scrapeInterval")));
    if (interval && interval->count() > 0) {
      targets.push_back(
          {text_of(member(labels, "job")), text_of(member(labels, "instance")), *interval});
    }
  }
  return targets;
}

ApiResult<GlobalIntervals> parse_config_response(long http_status, std::string_view body) {
  const auto answer = parse_envelope(http_status, body);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  const std::string yaml = text_of(member(member(*answer, "data"), "yaml"));
  const auto scrape = global_setting(yaml, "scrape_interval");
  const auto evaluation = global_setting(yaml, "evaluation_interval");
  if (!scrape || scrape->count() == 0) {
    return malformed("no global scrape interval in the configuration");
  }
  return GlobalIntervals{*scrape, evaluation.value_or(*scrape)};
}

}  // namespace holdfast::verify
