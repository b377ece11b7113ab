#pragma once

#include <chrono>

#include "nsrelay/event/event_loop.hpp"

namespace nsrelay {

/// A call that many events ask for and that few calls answer: the first request is granted at the
/// end of the loop's iteration, those that come within `interval` of a call share the next one.
class CoalescedCall {
 public:
  /// Borrows `loop`.
  CoalescedCall(EventLoop& loop, std::chrono::milliseconds interval, Delegate<void()> callback)
      : loop_(loop),
        interval_(interval),
        callback_(callback),
        now_(loop, Delegate<void()>::to<&CoalescedCall::run>(this)),
        later_(loop.timers(), Delegate<void()>::to<&CoalescedCall::run>(this)) {}

  void request() noexcept;
  void cancel();

 private:
  void run() noexcept;

  EventLoop& loop_;
  std::chrono::milliseconds interval_;
  Delegate<void()> callback_;
  DeferredCall now_;
  Timer later_;
  TimePoint next_{};
};

}  // namespace nsrelay
