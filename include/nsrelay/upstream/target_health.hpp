#pragma once

#include <cstdint>

#include "nsrelay/base/duration.hpp"
#include "nsrelay/event/timer_queue.hpp"

namespace nsrelay {

/// Whether a target can be relied on, learnt from what its connections and probes met with. Pure:
/// it is told the time.
///
/// Theory of operation. `kFailures` failures in a row put a target out, for a second at first. Then
/// one connection at a time may try it: a success brings it back, a failure puts it out for twice
/// as long, up to a minute. A target that is probed is not tried by connections: the probe brings
/// it back. Being out is advice: who has no other target left uses it all the same.
class TargetHealth {
 public:
  static constexpr int kFailures = 3;
  static constexpr Duration kShortestPause{1000};
  static constexpr Duration kLongestPause{60'000};

  /// `probed`: somebody else than connections finds out whether it is back.
  explicit TargetHealth(bool probed) : probed_(probed) {}

  [[nodiscard]] bool is_up() const { return up_; }
  [[nodiscard]] std::uint64_t failures_total() const { return failures_total_; }

  /// Whether a connection should begin with it: it is up, or it is time to try it again and nobody
  /// does so yet.
  [[nodiscard]] bool is_usable(TimePoint now) const {
    return up_ || (!probed_ && !on_trial_ && now >= retry_at_);
  }

  /// A connection begins. Returns true when it is the one that tries a target that is out; it then
  /// calls succeeded(), failed() or trial_abandoned().
  bool begin(TimePoint now);

  /// The target was reached. Returns true when it was out and is up from now on.
  bool succeeded();

  /// The target was not reached. Returns true when it was up and is out from now on.
  bool failed(TimePoint now);

  /// The connection that tried it ended before its outcome was known.
  void trial_abandoned() { on_trial_ = false; }

 private:
  std::uint64_t failures_total_ = 0;
  TimePoint retry_at_{};
  Duration pause_ = kShortestPause;
  int failures_in_a_row_ = 0;
  bool up_ = true;
  bool on_trial_ = false;
  bool probed_;
};

}  // namespace nsrelay
