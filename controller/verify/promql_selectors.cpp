#include "controller/verify/promql_selectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "controller/verify/promql_duration.h"
#include "controller/verify/promql_tokens.h"

namespace holdfast::verify {
namespace {

using Kind = PromqlToken::Kind;

// PromQL's keywords have no case.
bool same_word(std::string_view word, std::string_view keyword) {
  return std::ranges::equal(word, keyword, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

bool is_word_of(const PromqlToken& token, std::initializer_list<std::string_view> keywords) {
  return token.kind == Kind::word && std::ranges::any_of(keywords, [&](std::string_view keyword) {
           return same_word(token.text, keyword);
         });
}

bool is_symbol(const PromqlToken& token, std::string_view symbol) {
  return token.kind == Kind::symbol && token.text == symbol;
}

bool is_binary_operator(const PromqlToken& token) {
  if (token.kind == Kind::symbol) {
    return std::string_view("+-*/%^<>").contains(token.text.front()) || token.text == "==" ||
           token.text == "!=";
  }
  return is_word_of(token, {"and", "or", "unless", "atan2"});
}

// Walks over the tokens, alternating between two expectations: an operand (a selector, a number, a
// call, a group), and what may follow an operand (a range, an offset, an operator, the end of a
// group). Words have to be told apart by it: `sum`, `by` and `offset` are metric names where an
// operand is expected.
class Walker {
 public:
  Walker(std::string_view promql, const std::vector<PromqlToken>& tokens)
      : promql_(promql), tokens_(tokens) {}

  Result<std::vector<Selector>> run() {
    while (true) {
      if (auto walked = operand(); !walked) {
        return std::unexpected(std::move(walked.error()));
      }
      auto more = after_operand();
      if (!more) {
        return std::unexpected(std::move(more.error()));
      }
      if (!*more) {
        return std::move(selectors_);
      }
    }
  }

 private:
  const PromqlToken& token(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }

  std::unexpected<Error> unexpected_token() const {
    const std::string found = token().kind == Kind::end ? "end" : fmt::format("{}", token().text);
    return fail(ErrorKind::usage, fmt::format("can't follow the query at character {} (\"{}\")",
                                              token().offset + 1, found));
  }

  // Walks up to the end of one operand that is not a group; groups only open here.
  Result<void> operand() {
    while (true) {
      if (is_symbol(token(), "+") || is_symbol(token(), "-")) {
        ++at_;
      } else if (is_symbol(token(), "(")) {
        open_group(0);
      } else if (is_symbol(token(), ")") && empty_call()) {
        return {};  // `time()`: after_operand() closes it
      } else if (token().kind == Kind::number || token().kind == Kind::string) {
        operand_begin_ = selectors_.size();
        ++at_;
        return {};
      } else if (is_symbol(token(), "{")) {
        return selector();
      } else if (token().kind != Kind::word) {
        return unexpected_token();
      } else if (is_symbol(token(1), "(")) {
        open_group(1);  // a function or an aggregation
      } else if (is_word_of(token(1), {"by", "without"})) {
        ++at_;  // `sum by (job) (…)`
        if (auto skipped = skip_label_list_after_word(); !skipped) {
          return skipped;
        }
        if (!is_symbol(token(), "(")) {
          return unexpected_token();
        }
        open_group(0);
      } else if (is_word_of(token(), {"inf", "nan"})) {
        operand_begin_ = selectors_.size();
        ++at_;
        return {};
      } else {
        return selector();
      }
    }
  }

  // True: another operand follows. False: the expression is over.
  Result<bool> after_operand() {
    while (true) {
      if (token().kind == Kind::end) {
        if (!groups_.empty()) {
          return unexpected_token();
        }
        return false;
      }
      Result<void> walked{};
      if (token().kind == Kind::bracket) {
        walked = range_or_subquery();
      } else if (is_word_of(token(), {"offset"}) || is_symbol(token(), "@")) {
        walked = shift();
      } else if (is_symbol(token(), ")") && !groups_.empty()) {
        operand_begin_ = groups_.back();
        groups_.pop_back();
        ++at_;
      } else if (is_word_of(token(), {"by", "without"})) {
        walked = skip_label_list_after_word();  // `sum(…) by (job)`
      } else if (is_symbol(token(), ",") && !groups_.empty()) {
        ++at_;
        return true;
      } else if (is_binary_operator(token())) {
        ++at_;
        if (auto skipped = binary_modifiers(); !skipped) {
          return std::unexpected(std::move(skipped.error()));
        }
        return true;
      } else {
        walked = unexpected_token();
      }
      if (!walked) {
        return std::unexpected(std::move(walked.error()));
      }
    }
  }

  void open_group(std::size_t words_before) {
    groups_.push_back(selectors_.size());
    at_ += words_before + 1;
  }

  bool empty_call() const {
    return !groups_.empty() && at_ >= 2 && is_symbol(tokens_[at_ - 1], "(") &&
           tokens_[at_ - 2].kind == Kind::word;
  }

  // `bool`, `on (…)`, `ignoring (…)`, `group_left (…)`, `group_right`: none of them can be a
  // metric.
  Result<void> binary_modifiers() {
    while (is_word_of(token(), {"bool", "on", "ignoring", "group_left", "group_right"})) {
      if (is_symbol(token(1), "(")) {
        if (auto skipped = skip_label_list_after_word(); !skipped) {
          return skipped;
        }
      } else {
        ++at_;
      }
    }
    return {};
  }

  Result<void> skip_label_list_after_word() {
    ++at_;
    if (!is_symbol(token(), "(")) {
      return unexpected_token();
    }
    ++at_;
    while (token().kind == Kind::word || token().kind == Kind::string || is_symbol(token(), ",")) {
      ++at_;
    }
    if (!is_symbol(token(), ")")) {
      return unexpected_token();
    }
    ++at_;
    return {};
  }

  // `name`, `name{…}`, `{…}`.
  Result<void> selector() {
    operand_begin_ = selectors_.size();
    const std::size_t begin = token().offset;
    Selector found;
    if (token().kind == Kind::word) {
      found.metric = token().text;
      ++at_;
    }
    if (is_symbol(token(), "{")) {
      ++at_;
      if (auto walked = matchers(found.metric); !walked) {
        return walked;
      }
    }
    const PromqlToken& last = tokens_[at_ - 1];
    found.text = promql_.substr(begin, last.offset + last.text.size() - begin);
    selectors_.push_back(std::move(found));
    return {};
  }

  // From behind `{` to behind `}`. `metric` takes the name from `__name__="…"`, or from a quoted
  // name alone.
  Result<void> matchers(std::string& metric) {
    while (!is_symbol(token(), "}")) {
      const PromqlToken label = token();
      if (label.kind != Kind::word && label.kind != Kind::string) {
        return unexpected_token();
      }
      ++at_;
      if (is_symbol(token(), ",") || is_symbol(token(), "}")) {
        metric = label.kind == Kind::string ? unquote_promql(label.text) : metric;
      } else {
        const bool operation = is_symbol(token(), "=") || is_symbol(token(), "!=") ||
                               is_symbol(token(), "=~") || is_symbol(token(), "!~");
        if (!operation || token(1).kind != Kind::string) {
          return unexpected_token();
        }
        if (label.text == "__name__" && is_symbol(token(), "=")) {
          metric = unquote_promql(token(1).text);
        }
        at_ += 2;
      }
      if (is_symbol(token(), ",")) {
        ++at_;
      } else if (!is_symbol(token(), "}")) {
        return unexpected_token();
      }
    }
    ++at_;
    return {};
  }

  // Ranges add up: `rate(x[10s])[5m:]` looks at samples of the last 5m10s.
  Result<void> range_or_subquery() {
    std::string_view inside = token().text.substr(1, token().text.size() - 2);
    inside = inside.substr(0, inside.find(':'));
    while (inside.ends_with(' ')) {
      inside.remove_suffix(1);
    }
    while (inside.starts_with(' ')) {
      inside.remove_prefix(1);
    }
    const auto length = parse_promql_duration(inside);
    if (!length) {
      return unexpected_token();
    }
    for (std::size_t i = operand_begin_; i < selectors_.size(); ++i) {
      selectors_[i].window += *length;
    }
    ++at_;
    return {};
  }

  // `offset -5m`, `@ 1609746000`, `@ end()`: for all of the operand before it.
  Result<void> shift() {
    for (std::size_t i = operand_begin_; i < selectors_.size(); ++i) {
      selectors_[i].shifted = true;
    }
    ++at_;
    if (is_symbol(token(), "+") || is_symbol(token(), "-")) {
      ++at_;
    }
    if (is_word_of(token(), {"start", "end"}) && is_symbol(token(1), "(") &&
        is_symbol(token(2), ")")) {
      at_ += 3;
      return {};
    }
    if (token().kind != Kind::number) {
      return unexpected_token();
    }
    ++at_;
    return {};
  }

  std::string_view promql_;
  const std::vector<PromqlToken>& tokens_;
  std::size_t at_ = 0;
  std::vector<Selector> selectors_;
  // For each open group, and for the operand just walked: the index of its first selector.
  std::vector<std::size_t> groups_;
  std::size_t operand_begin_ = 0;
};

}  // namespace

Result<std::vector<Selector>> find_selectors(std::string_view promql) {
  const auto tokens = tokenize_promql(promql);
  if (!tokens) {
    return std::unexpected(tokens.error());
  }
  return Walker(promql, *tokens).run();
}

}  // namespace holdfast::verify
