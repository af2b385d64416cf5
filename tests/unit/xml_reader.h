// Reads the little XML that a JUnit file is made of, and refuses what is not well formed (XML 1.0):
// enough to be as strict as the tools that read it, without a library for one test.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::test {

struct XmlElement {
  std::string name;
  std::map<std::string, std::string> attributes;
};

struct XmlOutcome {
  std::string error;                 // empty: well formed
  std::vector<XmlElement> elements;  // in document order
};

// Whether XML 1.0 (2.2) allows every character, and all of it is UTF-8.
inline bool is_allowed(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80           ? 1
                               : (lead >> 5) == 0x6  ? 2
                               : (lead >> 4) == 0xe  ? 3
                               : (lead >> 3) == 0x1e ? 4
                                                     : 0;
    if (length == 0 || i + length > text.size()) {
      return false;
    }
    std::uint32_t code = length == 1 ? lead : lead & (0xffU >> (length + 1));
    for (std::size_t j = 1; j < length; ++j) {
      const auto next = static_cast<unsigned char>(text[i + j]);
      if ((next & 0xc0) != 0x80) {
        return false;
      }
      code = code << 6 | (next & 0x3f);
    }
    static constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool character = code == 0x9 || code == 0xa || code == 0xd ||
                           (code >= 0x20 && code <= 0xd7ff) || (code >= 0xe000 && code <= 0xfffd) ||
                           (code >= 0x10000 && code <= 0x10ffff);
    if (!character || code < kLeast[length]) {
      return false;
    }
    i += length;
  }
  return true;
}

class XmlReader {
 public:
  explicit XmlReader(std::string_view text) : rest_(text) {}

  XmlOutcome read() {
    if (!is_allowed(rest_)) {
      return {"a character that XML forbids", {}};
    }
    take("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    skip_space();
    element();
    skip_space();
    if (error_.empty() && !rest_.empty()) {
      error_ = "something after the end";
    }
    return {error_, std::move(elements_)};
  }

 private:
  void element() {
    take("<");
    XmlElement one{name(), {}};
    while (skip_space(), error_.empty() && !rest_.starts_with('/') && !rest_.starts_with('>')) {
      const std::string key = name();
      take("=\"");
      const std::size_t end = rest_.find('"');
      if (end == std::string_view::npos) {
        error_ = "an attribute without an end";
        return;
      }
      if (!one.attributes.emplace(key, unescape(rest_.substr(0, end))).second) {
        error_ = "an attribute twice";
      }
      rest_.remove_prefix(end + 1);
    }
    const std::string name = one.name;
    elements_.push_back(std::move(one));
    if (rest_.starts_with('/')) {
      take("/>");
      return;
    }
    take(">");
    while (skip_space(), error_.empty() && !rest_.starts_with("</")) {
      element();
    }
    take("</" + name + ">");
  }

  std::string unescape(std::string_view text) {
    static const std::map<std::string_view, char> kEntities = {
        {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"#39", '\''}};
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '<') {
        error_ = "< in an attribute";
      } else if (text[i] == '&') {
        const std::size_t end = std::min(text.find(';', i), text.size());
        const auto entity = kEntities.find(text.substr(i + 1, end - i - 1));
        if (entity == kEntities.end()) {
          error_ = "an unknown entity";
          return plain;
        }
        plain += entity->second;
        i = end;
        continue;
      }
      plain += text[i];
    }
    return plain;
  }

  std::string name() {
    std::size_t length = 0;
    while (length < rest_.size() && std::isalnum(static_cast<unsigned char>(rest_[length])) != 0) {
      ++length;
    }
    if (length == 0 && error_.empty()) {
      error_ = "no name at: " + std::string(rest_.substr(0, 40));
    }
    const std::string taken(rest_.substr(0, length));
    rest_.remove_prefix(length);
    return taken;
  }

  void take(std::string_view wanted) {
    if (rest_.starts_with(wanted)) {
      rest_.remove_prefix(wanted.size());
    } else if (error_.empty()) {
      error_ = "no " + std::string(wanted) + " at: " + std::string(rest_.substr(0, 40));
    }
  }

  void skip_space() {
    while (!rest_.empty() && std::isspace(static_cast<unsigned char>(rest_.front())) != 0) {
      rest_.remove_prefix(1);
    }
  }

  std::string_view rest_;
  std::string error_;
  std::vector<XmlElement> elements_;
};

inline XmlOutcome read_xml(std::string_view text) {
  return XmlReader(text).read();
}

}  // namespace holdfast::test
