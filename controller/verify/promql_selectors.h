// Finds the vector selectors of a PromQL expression, so that the age of what they select can be
// asked for.
//
// Not a parser: it trusts that the server accepts the expression (ProbeEvaluator::check_query
// asks), and only tells metric selectors apart from functions, keywords, label lists, strings and
// comments. Grammar: Prometheus 2 and 3.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace holdfast::verify {

struct Selector {
  std::string text;    // as written, without range, offset and @: `http_requests_total{job="a"}`
  std::string metric;  // the one metric name that it can match; empty: it may match several
  // How far back it looks, the ranges of the subqueries around it included; 0: an instant vector.
  std::chrono::milliseconds window{0};
  bool shifted = false;  // under an offset or @: meant to be old
};

// In the order of the text, repetitions included.
// Errors: usage, with the place, where the expression is not one that it can follow.
Result<std::vector<Selector>> find_selectors(std::string_view promql);

}  // namespace holdfast::verify
