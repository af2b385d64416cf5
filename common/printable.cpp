#include "common/printable.h"

namespace holdfast {
namespace {

// U+2028 and U+2029 break lines; U+202A to U+202E and U+2066 to U+2069 turn the direction of
// reading, so that what is shown is not what is there.
bool turns_direction(std::string_view rest) {
  return (rest.starts_with("\xe2\x80") && rest.size() > 2 && rest[2] >= '\xa8' &&
          rest[2] <= '\xae') ||
         (rest.starts_with("\xe2\x81") && rest.size() > 2 && rest[2] >= '\xa6' &&
          rest[2] <= '\xa9');
}

}  // namespace

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
    } else if (turns_direction(text.substr(i))) {
      safe += '?';
      i += 2;
    } else {
      safe += text[i];
    }
  }
  return safe;
}

}  // namespace holdfast
