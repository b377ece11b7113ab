#pragma once

#include <cstdint>
#include <string_view>

#include "nsrelay/base/result.hpp"

namespace nsrelay {

/// Reads so many per second: `20` or `20/s`, 1 to 2147483647.
Result<std::uint32_t> parse_rate(std::string_view text);

}  // namespace nsrelay
