#include "common/printable.h"

namespace holdfast {

std::string printable(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    if (byte == '\n' || byte == '\t' || byte == '\r') {
      safe += ' ';
    } else if (byte < 0x20 || byte == 0x7f) {
      safe += '?';
    } else if (byte == 0xc2 && next >= 0x80 && next <= 0x9f) {  // U+0080 to U+009F
      safe += '?';
      ++i;
    } else {
      safe += text[i];
    }
  }
  return safe;
}

}  // namespace holdfast
