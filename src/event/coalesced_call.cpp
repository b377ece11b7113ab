#include "nsrelay/event/coalesced_call.hpp"

#include <algorithm>
#include <utility>

namespace nsrelay {

void CoalescedCall::request() noexcept {
  if (now_.is_scheduled() || later_.is_running())
    return;
  if (ended_.is_scheduled())
    wanted_ = true;
  else if (next_ <= loop_.now())
    now_.schedule();
  else
    later_.start(next_);
}

void CoalescedCall::cancel() {
  now_.cancel();
  later_.stop();
  wanted_ = false;
}

void CoalescedCall::run() noexcept {
  began_ = loop_.now();
  ended_.schedule();  // first: the callback may ask for another
  callback_();
}

void CoalescedCall::on_ended() noexcept {
  const TimePoint now = loop_.now();
  next_ = std::max(began_ + interval_, now + (now - began_));
  if (std::exchange(wanted_, false))
    later_.start(next_);
}

}  // namespace nsrelay
