#include "key_reader.hpp"

#include <map>
#include <optional>

namespace nsrelay {
namespace {

constexpr char kEscape = '\033';

/// The sequences of xterm and its kin; `O` in place of `[` is what they send in application mode.
std::optional<Key> key_of_sequence(std::string_view sequence) {
  static const std::map<std::string_view, Key> kKeys = {
      {"A", key::kUp},    {"B", key::kDown}, {"5~", key::kPageUp}, {"6~", key::kPageDown},
      {"H", key::kHome},  {"F", key::kEnd},  {"1~", key::kHome},   {"4~", key::kEnd},
      {"7~", key::kHome}, {"8~", key::kEnd}};
  const auto found = kKeys.find(sequence.substr(2));
  return found == kKeys.end() ? std::nullopt : std::optional(found->second);
}

/// Whether a sequence that began with ESC ends with its last byte (ECMA-48: 0x40 to 0x7e behind
/// the introducer).
bool is_complete(std::string_view sequence) {
  if (sequence.size() == 1)
    return false;
  if (sequence.size() == 2)
    return sequence[1] != '[' && sequence[1] != 'O';
  return sequence.back() >= 0x40 && sequence.back() <= 0x7e;
}

}  // namespace

std::vector<Key> KeyReader::read(std::string_view bytes) {
  std::vector<Key> keys;
  for (const char byte : bytes) {
    if (byte == kEscape) {
      sequence_ = byte;
      continue;
    }
    if (sequence_.empty()) {
      keys.push_back(static_cast<unsigned char>(byte));
      continue;
    }
    sequence_ += byte;
    if (!is_complete(sequence_))
      continue;
    if (sequence_.size() > 2)
      if (const auto key = key_of_sequence(sequence_))
        keys.push_back(*key);
    sequence_.clear();
  }
  return keys;
}

}  // namespace nsrelay
