#pragma once

#include <chrono>
#include <cstddef>
#include <limits>
#include <optional>
#include <vector>

#include "nsrelay/base/delegate.hpp"

namespace nsrelay {

/// The reactor's clock: monotonic, does not jump.
using TimePoint = std::chrono::steady_clock::time_point;

class Timer;

/// Timers ordered by deadline: a binary heap in which each timer knows its place. Starting, moving
/// and stopping cost O(log n), finding the next one O(1). It never reads a clock: the caller says
/// what time it is. Borrows its timers.
class TimerQueue {
 public:
  TimerQueue() = default;
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  /// The deadline of the timer that is due first; nothing when no timer runs.
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;

  /// Calls every timer whose deadline is at or before `now`, in the order of their deadlines. A
  /// timer that is called has stopped, and may start itself again; one that starts again with a
  /// deadline already past is called by the next run_due(), so that a timer cannot hold up the
  /// loop. A callback may start, stop and destroy any timer, its own included.
  void run_due(TimePoint now);

  [[nodiscard]] std::size_t size() const { return heap_.size(); }

 private:
  friend class Timer;

  struct Entry {
    TimePoint deadline;
    Timer* timer;
  };

  void insert(Timer& timer, TimePoint deadline);
  void remove(Timer& timer);
  void move_up(std::size_t place);
  void move_down(std::size_t place);
  void put(std::size_t place, const Entry& entry);

  std::vector<Entry> heap_;
  std::optional<TimePoint> running_until_;
};

/// One timer. Stops when destroyed.
class Timer {
 public:
  /// Borrows `queue`, which must outlive the timer. `callback` is called once per start().
  Timer(TimerQueue& queue, Delegate<void()> callback) : queue_(queue), callback_(callback) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { stop(); }

  /// Runs until `deadline`; a timer that already runs is moved.
  void start(TimePoint deadline);
  /// Does nothing when it does not run.
  void stop();
  [[nodiscard]] bool is_running() const { return place_ != kNowhere; }

 private:
  friend class TimerQueue;

  static constexpr std::size_t kNowhere = std::numeric_limits<std::size_t>::max();

  TimerQueue& queue_;
  Delegate<void()> callback_;
  std::size_t place_ = kNowhere;
};

}  // namespace nsrelay
