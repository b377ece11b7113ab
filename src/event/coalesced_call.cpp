#include "nsrelay/event/coalesced_call.hpp"

namespace nsrelay {

void CoalescedCall::request() noexcept {
  if (now_.is_scheduled() || later_.is_running())
    return;
  if (next_ <= loop_.now())
    now_.schedule();
  else
    later_.start(next_);
}

void CoalescedCall::cancel() {
  now_.cancel();
  later_.stop();
}

void CoalescedCall::run() noexcept {
  next_ = loop_.now() + interval_;
  callback_();
}

}  // namespace nsrelay
