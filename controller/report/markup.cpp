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
  std::string safe;
  for (const char c : repair_utf8(text)) {
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
