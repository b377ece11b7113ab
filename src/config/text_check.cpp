#include "text_check.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

namespace nsrelay {
namespace {

/// The smallest code point that needs a sequence of so many bytes; smaller ones are overlong.
constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};

std::uint8_t byte_at(std::string_view text, std::size_t offset) {
  return static_cast<std::uint8_t>(text[offset]);
}

/// How many bytes a sequence has that begins with `first`; 0 where none can.
std::size_t sequence_length(std::uint8_t first) {
  if (first < 0x80)
    return 1;
  if (first >= 0xc2 && first < 0xe0)
    return 2;
  if (first >= 0xe0 && first < 0xf0)
    return 3;
  return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

/// The length of the valid sequence at `offset`, or 0.
std::size_t valid_sequence(std::string_view text, std::size_t offset) {
  const std::size_t length = sequence_length(byte_at(text, offset));
  if (length <= 1)
    return length;
  if (text.size() - offset < length)
    return 0;
  std::uint32_t code = byte_at(text, offset) & (0x7fU >> length);
  for (std::size_t next = offset + 1; next < offset + length; ++next) {
    if ((byte_at(text, next) & 0xc0U) != 0x80)
      return 0;
    code = code << 6U | (byte_at(text, next) & 0x3fU);
  }
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  return code < kSmallest[length] || code > 0x10ffff || surrogate ? 0 : length;
}

bool is_refused_control(std::uint8_t byte) {
  return (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f;
}

Position position_of(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return {static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
          static_cast<int>(offset - line_start) + 1};
}

std::string describe(std::uint8_t byte) {
  if (byte == 0)
    return "a NUL byte is not allowed";
  if (byte >= 0x80)
    return "not valid UTF-8";
  return "the control character " + in_quotes({reinterpret_cast<const char*>(&byte), 1}) +
         " is not allowed";
}

}  // namespace

bool check_text(std::string_view text, FaultList& faults) {
  std::size_t offset = 0;
  while (offset < text.size()) {
    const std::size_t length = valid_sequence(text, offset);
    if (length == 0 || is_refused_control(byte_at(text, offset))) {
      faults.add(position_of(text, offset), describe(byte_at(text, offset)));
      return false;
    }
    offset += length;
  }
  return true;
}

}  // namespace nsrelay
