// What an instant query gives: samples with their labels, and how they are shown to people.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::verify {

using Labels = std::map<std::string, std::string>;  // the metric's name is "__name__"

struct Sample {
  Labels labels;     // none: a scalar, or a vector whose labels were aggregated away
  double value = 0;  // NaN and infinities included
  // A native histogram: the sample has no number. `value` has no meaning then.
  bool histogram = false;
};

struct QueryResult {
  enum class Type { scalar, vector, matrix, string };
  Type type = Type::vector;
  std::vector<Sample> samples;  // of a scalar (one) or a vector; else none
  double evaluated_at = 0;      // the server's clock, seconds since the epoch; 0: an empty result
  std::vector<std::string> warnings;
};

std::string_view to_string(QueryResult::Type type);

// `up{instance="a:9100",job="node"}`, cut at about 200 bytes; "the sample" where there are no
// labels.
std::string describe(const Labels& labels);

// At most 6 significant digits: "0.995", "1.5e+09", "NaN", "+Inf".
std::string format_value(double value);

// A text of somebody else's as one line: control characters become blanks, cut at `limit` bytes.
std::string one_line(std::string_view text, std::size_t limit = 300);

}  // namespace holdfast::verify
