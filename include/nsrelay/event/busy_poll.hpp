#pragma once

#include <chrono>
#include <cstddef>

namespace nsrelay {

/// Whether the loop, before it sleeps, asks for events again and again for a moment. To fall asleep
/// and to be woken costs more than a short spin, and delays the event by as much; but a spin that
/// finds nothing is wasted, and while many connections are active there is always an event anyway.
///
/// Theory of operation. It spins only where somebody who has just passed on a small message expects
/// an answer, where few events came at a time, and where spinning has paid lately: a spin in vain
/// is followed by twice as many waits without one as the last time, up to kMostSkipped; one that
/// found something starts afresh. A pure state machine: it neither waits nor reads a clock.
class BusyPoll {
 public:
  static constexpr std::chrono::microseconds kLongest{50};
  /// Two connections have four sockets.
  static constexpr std::size_t kFewEvents = 4;
  static constexpr unsigned kMostSkipped = 256;

  void set_enabled(bool on) { enabled_ = on; }

  /// Something was passed on that is likely to be answered at once.
  void expect() { expected_ = true; }

  /// Whether to spin before the next wait, for at most kLongest. To be called once before each
  /// wait.
  [[nodiscard]] bool begins() {
    const bool is_candidate = enabled_ && expected_ && last_events_ <= kFewEvents;
    expected_ = false;
    if (!is_candidate)
      return false;
    if (to_skip_ == 0)
      return true;
    --to_skip_;
    return false;
  }

  /// How the spin ended: whether there were events.
  void ended(bool found) {
    skipped_ = found ? 0 : skipped_ * 2 + 1;
    if (skipped_ > kMostSkipped)
      skipped_ = kMostSkipped;
    to_skip_ = skipped_;
  }

  /// How many events the wait gave, spun or slept.
  void note_events(std::size_t count) { last_events_ = count; }

 private:
  bool enabled_ = false;
  bool expected_ = false;
  std::size_t last_events_ = 0;
  unsigned skipped_ = 0;  ///< waits without a spin after the last one in vain
  unsigned to_skip_ = 0;  ///< of these, how many are still to come
};

}  // namespace nsrelay
