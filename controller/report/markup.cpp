#include "controller/report/markup.h"

#include <nlohmann/json.hpp>

namespace holdfast::report {
namespace {

// A JSON library has to repair UTF-8 anyway: out and in again.
std::string repair_utf8(std::string_view text) {
  const std::string quoted = nlohmann::json(std::string(text))
                                 .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return nlohmann::json::parse(quoted).get<std::string>();
}

}  // namespace

std::string escape(std::string_view text) {
  constexpr std::string_view kNoCharacters = "\xef\xbf";  // U+FFFE and U+FFFF begin with it
  std::string safe;
  const std::string repaired = repair_utf8(text);
  for (std::size_t i = 0; i < repaired.size(); ++i) {
    const char c = repaired[i];
    if (repaired.compare(i, 2, kNoCharacters) == 0 &&
        static_cast<unsigned char>(repaired[i + 2]) >= 0xbe) {
      i += 2;
      continue;
    }
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') {
          safe += c;
        }
    }
  }
  return safe;
}

}  // namespace holdfast::report
