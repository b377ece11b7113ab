#pragma once

#include <chrono>

#include "nsrelay/event/event_loop.hpp"

namespace nsrelay {

/// A call that many events ask for and that few calls answer: the first request is granted at the
/// end of the loop's iteration, those that come within `interval` of a call share the next one. One
/// that takes longer than that is followed by a pause as long as itself, so that it never has more
/// than half of the loop's time.
class CoalescedCall {
 public:
  /// Borrows `loop`.
  CoalescedCall(EventLoop& loop, std::chrono::milliseconds interval, Delegate<void()> callback)
      : loop_(loop),
        interval_(interval),
        callback_(callback),
        now_(loop, Delegate<void()>::to<&CoalescedCall::run>(this)),
        later_(loop.timers(), Delegate<void()>::to<&CoalescedCall::run>(this)),
        ended_(loop, Delegate<void()>::to<&CoalescedCall::on_ended>(this)) {}

  void request() noexcept;
  void cancel();

 private:
  void run() noexcept;
  void on_ended() noexcept;

  EventLoop& loop_;
  std::chrono::milliseconds interval_;
  Delegate<void()> callback_;
  DeferredCall now_;
  Timer later_;
  DeferredCall ended_;  ///< in the iteration after a call, whose time tells how long it took
  TimePoint began_{};
  TimePoint next_{};
  bool wanted_ = false;  ///< requested since the call began, and not scheduled yet
};

}  // namespace nsrelay
