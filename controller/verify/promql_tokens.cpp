#include "controller/verify/promql_tokens.h"

#include <fmt/format.h>

#include <array>
#include <string>

namespace holdfast::verify {
namespace {

using Kind = PromqlToken::Kind;

// Locale-free, unlike <cctype>.
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

class Tokenizer {
 public:
  explicit Tokenizer(std::string_view text) : text_(text) {}

  Result<std::vector<PromqlToken>> run() {
    std::vector<PromqlToken> tokens;
    while (true) {
      skip_blank();
      if (at_ == text_.size()) {
        tokens.push_back({Kind::end, text_.substr(at_), at_});
        return tokens;
      }
      auto token = next();
      if (!token) {
        return std::unexpected(std::move(token.error()));
      }
      tokens.push_back(*token);
    }
  }

 private:
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  void skip_blank() {
    while (at_ < text_.size()) {
      if (is_space(peek())) {
        ++at_;
      } else if (peek() == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else {
        return;
      }
    }
  }

  PromqlToken take(Kind kind, std::size_t end) {
    const PromqlToken token{kind, text_.substr(at_, end - at_), at_};
    at_ = end;
    return token;
  }

  Result<PromqlToken> next() {
    const char first = peek();
    if (first == '"' || first == '\'' || first == '`') {
      return string(first);
    }
    if (first == '[') {
      const std::size_t close = text_.find(']', at_);
      if (close == std::string_view::npos) {
        return unfinished("bracket");
      }
      return take(Kind::bracket, close + 1);
    }
    if (is_letter(first) || first == ':') {
      return word();
    }
    if (is_digit(first) || (first == '.' && is_digit(peek(1)))) {
      return number();
    }
    return symbol();
  }

  Result<PromqlToken> string(char quote) {
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote) {
      if (quote != '`' && text_[end] == '\n') {
        return unfinished("string");
      }
      end += quote != '`' && text_[end] == '\\' ? 2 : 1;
    }
    if (end >= text_.size()) {
      return unfinished("string");
    }
    return take(Kind::string, end + 1);
  }

  PromqlToken word() {
    std::size_t end = at_;
    while (end < text_.size() &&
           (is_letter(text_[end]) || is_digit(text_[end]) || text_[end] == ':')) {
      ++end;
    }
    return take(Kind::word, end);
  }

  PromqlToken number() {
    const bool hexadecimal = peek() == '0' && (peek(1) == 'x' || peek(1) == 'X');
    std::size_t end = at_;
    while (end < text_.size()) {
      const char c = text_[end];
      const bool sign = (c == '+' || c == '-') && !hexadecimal && end > at_ &&
                        (text_[end - 1] == 'e' || text_[end - 1] == 'E');
      if (!is_digit(c) && !is_letter(c) && c != '.' && !sign) {
        break;
      }
      ++end;
    }
    return take(Kind::number, end);
  }

  Result<PromqlToken> symbol() {
    static constexpr std::array<std::string_view, 6> kDouble = {"==", "!=", "<=", ">=", "=~", "!~"};
    const std::string_view two = text_.substr(at_, 2);
    for (const std::string_view candidate : kDouble) {
      if (two == candidate) {
        return take(Kind::symbol, at_ + 2);
      }
    }
    if (std::string_view("+-*/%^<>=(){},@").find(peek()) != std::string_view::npos) {
      return take(Kind::symbol, at_ + 1);
    }
    return fail(ErrorKind::usage,
                fmt::format("unexpected byte 0x{:02x} at character {} of the query",
                            static_cast<unsigned char>(peek()), at_ + 1));
  }

  std::unexpected<Error> unfinished(std::string_view what) const {
    return fail(ErrorKind::usage,
                fmt::format("unfinished {} at character {} of the query", what, at_ + 1));
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<std::vector<PromqlToken>> tokenize_promql(std::string_view promql) {
  return Tokenizer(promql).run();
}

std::string unquote_promql(std::string_view token) {
  const char quote = token.front();
  token.remove_prefix(1);
  token.remove_suffix(1);
  if (quote == '`') {
    return std::string(token);
  }
  std::string content;
  for (std::size_t i = 0; i < token.size(); ++i) {
    const bool resolves = token[i] == '\\' && i + 1 < token.size() &&
                          std::string_view("\\'\"").find(token[i + 1]) != std::string_view::npos;
    if (resolves) {
      ++i;
    }
    content += token[i];
  }
  return content;
}

std::string quote_promql(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
    }
    if (c == '\n') {
      quoted += "\\n";
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace holdfast::verify
