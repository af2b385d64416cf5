#include "controller/verify/sample.h"

#include <fmt/format.h>

#include <cmath>

#include "controller/verify/promql_tokens.h"

namespace holdfast::verify {
namespace {

constexpr std::size_t kLongestDescription = 200;

}  // namespace

std::string_view to_string(QueryResult::Type type) {
  switch (type) {
    case QueryResult::Type::scalar:
      return "scalar";
    case QueryResult::Type::vector:
      return "instant vector";
    case QueryResult::Type::matrix:
      return "range vector";
    case QueryResult::Type::string:
      return "string";
  }
  return "string";
}

std::string describe(const Labels& labels) {
  std::string name;
  std::string list;
  for (const auto& [label, value] : labels) {
    if (label == "__name__") {
      name = value;
    } else {
      list += fmt::format("{}{}={}", list.empty() ? "" : ",", label, quote_promql(value));
    }
  }
  if (name.empty() && list.empty()) {
    return "the sample";
  }
  return one_line(list.empty() ? name : fmt::format("{}{{{}}}", name, list), kLongestDescription);
}

std::string format_value(double value) {
  if (std::isnan(value)) {
    return "NaN";
  }
  if (std::isinf(value)) {
    return value > 0 ? "+Inf" : "-Inf";
  }
  return fmt::format("{:.6g}", value);
}

std::string one_line(std::string_view text, std::size_t limit) {
  std::string line;
  for (const char c : text.substr(0, limit)) {
    const auto byte = static_cast<unsigned char>(c);
    line += byte < 0x20 || byte == 0x7f ? ' ' : c;
  }
  if (text.size() > limit) {
    // Not in the middle of a UTF-8 sequence: reports are UTF-8 throughout.
    while (!line.empty() && (static_cast<unsigned char>(line.back()) & 0xc0) == 0x80) {
      line.pop_back();
    }
    if (!line.empty() && static_cast<unsigned char>(line.back()) >= 0xc0) {
      line.pop_back();
    }
    line += "…";
  }
  while (line.ends_with(' ')) {
    line.pop_back();
  }
  return line;
}

}  // namespace holdfast::verify
