#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "nsrelay/base/result.hpp"

namespace nsrelay {

/// Time spans of the configuration and of timers. Millisecond steps, as epoll_wait(2) has.
using Duration = std::chrono::milliseconds;

/// Reads `250ms`, `5s`, `2m`, `1h`: a whole number and a unit, nothing else. Errors name the
/// allowed forms; a bare number is one, because its unit would be a guess.
Result<Duration> parse_duration(std::string_view text);

/// The shortest exact form, e.g. `90s`, `1h`, `250ms`, `0s`. parse_duration() reads it back.
std::string format_duration(Duration duration);

}  // namespace nsrelay
