#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>

#include "nsrelay/event/event_loop.hpp"
#include "support/sockets.hpp"

namespace nsrelay::test {

/// A test with an event loop whose clock stands still until the test moves it.
class LoopTest : public testing::Test {
 protected:
  /// Iterates until `condition` holds. The patience is real time, not the loop's.
  [[nodiscard]] bool run_until(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end)
        return false;
      loop_->run_once(Duration(1));
    }
    return true;
  }

  /// Iterates until no event is left for a moment: for what must not happen.
  void settle() {
    for (int i = 0; i < 5; ++i)
      loop_->run_once(Duration(1));
  }

  /// Moves the clock and lets the timers see it.
  void pass(std::chrono::nanoseconds time) {
    time_ += time;
    loop_->run_once(Duration(0));
  }

  TimePoint time_{std::chrono::hours(1)};
  std::unique_ptr<EventLoop> loop_ = std::move(*EventLoop::create([this] { return time_; }));
};

}  // namespace nsrelay::test
