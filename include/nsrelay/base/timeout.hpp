#pragma once

#include <string_view>

#include "nsrelay/base/duration.hpp"

namespace nsrelay {

/// What timers take: int milliseconds, and then whole hours. A point in time that is so far away
/// still fits into the nanoseconds that clocks count.
inline constexpr Duration kLongestTimeout = std::chrono::hours(596);

/// Reads a duration from 0s to kLongestTimeout. Errors name the allowed forms or the range.
Result<Duration> parse_timeout(std::string_view text);

}  // namespace nsrelay
