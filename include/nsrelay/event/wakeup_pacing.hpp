#pragma once

#include <chrono>
#include <cstddef>
#include <utility>

#include "nsrelay/base/duration.hpp"
#include "nsrelay/event/timer_queue.hpp"

namespace nsrelay {

/// Whether the loop lets a moment pass before it asks for events, while nothing but bulk is on its
/// way. What arrives meanwhile is moved in larger pieces: we fall asleep less often, and who
/// receives them is woken less often, which costs us as much. Network cards do the same with their
/// interrupts.
///
/// Theory of operation. Whose event was one of bulk says so: that more is to come and that there is
/// room for it, or that the receiver is full, so that the next event should be seen at once. There
/// is a pause where all events of an iteration were of the first kind, and none of anything else
/// came for kQuiet: who exchanges messages beside bulk is held up once, by kPause. A pure state
/// machine: it neither waits nor reads a clock.
class WakeupPacing {
 public:
  static constexpr std::chrono::microseconds kPause{100};
  static constexpr Duration kQuiet{10};

  enum class Bulk : bool { Flows, Blocked };

  /// An event was one of bulk.
  void note_bulk(Bulk how) { ++(how == Bulk::Flows ? flows_ : blocked_); }

  /// Whether to pause after an iteration with so many events, whose time was `now`. To be called
  /// once for each.
  [[nodiscard]] bool pauses(std::size_t events, TimePoint now) {
    const std::size_t flows = std::exchange(flows_, 0);
    const std::size_t blocked = std::exchange(blocked_, 0);
    if (events > flows + blocked)
      last_other_ = now;
    return flows > 0 && blocked == 0 && now - last_other_ >= kQuiet;
  }

 private:
  std::size_t flows_ = 0;
  std::size_t blocked_ = 0;
  TimePoint last_other_{};
};

}  // namespace nsrelay
