#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "nsrelay/base/result.hpp"

namespace nsrelay {

/// A number of bytes.
struct ByteSize {
  std::uint64_t bytes = 0;
  friend auto operator<=>(const ByteSize&, const ByteSize&) = default;
};

/// Reads `512B`, `64KiB`, `1MiB`, `2GiB`: a whole number and a unit, nothing else. Errors name
/// the allowed forms; a bare number is one.
Result<ByteSize> parse_byte_size(std::string_view text);

/// The shortest exact form, e.g. `256KiB`. parse_byte_size() reads it back.
std::string format_byte_size(ByteSize size);

}  // namespace nsrelay
