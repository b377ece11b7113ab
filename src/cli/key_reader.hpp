#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nsrelay {

/// A key: the byte that was typed (0 to 255), or one of `key`.
using Key = int;

namespace key {
inline constexpr Key kUp = 256;
inline constexpr Key kDown = 257;
inline constexpr Key kPageUp = 258;
inline constexpr Key kPageDown = 259;
inline constexpr Key kHome = 260;
inline constexpr Key kEnd = 261;
}  // namespace key

/// Makes keys of what a terminal in raw mode sends. Sequences that it does not know are dropped.
class KeyReader {
 public:
  /// `bytes` may end within a sequence; the rest comes with the next call.
  std::vector<Key> read(std::string_view bytes);

 private:
  std::string sequence_;  ///< from its ESC on
};

}  // namespace nsrelay
