#include "nsrelay/upstream/target_health.hpp"

#include <algorithm>
#include <utility>

namespace nsrelay {

bool TargetHealth::begin(TimePoint now) {
  if (up_ || !is_usable(now))
    return false;
  on_trial_ = true;
  return true;
}

bool TargetHealth::succeeded() {
  failures_in_a_row_ = 0;
  on_trial_ = false;
  pause_ = kShortestPause;
  return !std::exchange(up_, true);
}

bool TargetHealth::failed(TimePoint now) {
  ++failures_total_;
  const bool was_trial = std::exchange(on_trial_, false);
  if (!up_) {
    // Of several connections that fail at once only the one on trial says something new.
    if (was_trial || now >= retry_at_) {
      pause_ = std::min(pause_ * 2, kLongestPause);
      retry_at_ = now + pause_;
    }
    return false;
  }
  if (++failures_in_a_row_ < kFailures)
    return false;
  up_ = false;
  retry_at_ = now + pause_;
  return true;
}

}  // namespace nsrelay
