// Splits PromQL into tokens, as far as promql_selectors.h needs them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace holdfast::verify {

struct PromqlToken {
  enum class Kind {
    word,     // a metric, function, label or keyword
    number,   // a number or a duration
    string,   // with its quotes
    bracket,  // `[5m]` or `[1h:5m]`, as a whole
    symbol,   // an operator, parenthesis, brace, comma or @
    end,
  };
  Kind kind = Kind::end;
  std::string_view text;   // points into the expression
  std::size_t offset = 0;  // of its first byte in the expression
};

// Comments and white space are left out; the last token is always an `end`.
// Errors: usage, with the place (an unfinished string or bracket, a byte that starts nothing).
Result<std::vector<PromqlToken>> tokenize_promql(std::string_view promql);

// The content of a string token: without its quotes, escaped quotes and backslashes resolved. Other
// escapes stay as written: metric names have no use for them.
std::string unquote_promql(std::string_view token);

// The text as a PromQL string, in double quotes.
std::string quote_promql(std::string_view text);

}  // namespace holdfast::verify
