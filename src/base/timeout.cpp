#include "nsrelay/base/timeout.hpp"

namespace nsrelay {

Result<Duration> parse_timeout(std::string_view text) {
  auto timeout = parse_duration(text);
  if (timeout && *timeout > kLongestTimeout)
    return Error("out of range; allowed: a duration from 0s to " +
                 format_duration(kLongestTimeout));
  return timeout;
}

}  // namespace nsrelay
