#include "nsrelay/event/event_loop.hpp"

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>
#include <thread>

namespace nsrelay {
namespace {

// More raises the tail latency of the last in the batch without saving measurable time.
constexpr int kEventsPerWait = 128;

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create(std::function<TimePoint()> clock) {
  UniqueFd epoll = UniqueFd::adopt(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll)
    return Error::from_errno("epoll_create1");
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(clock)));
}

EventLoop::EventLoop(UniqueFd epoll, std::function<TimePoint()> clock)
    : epoll_(std::move(epoll)), clock_(std::move(clock)), now_(clock_()) {}

EventLoop::~EventLoop() {
  destroy_doomed();
}

void EventLoop::run() {
  stopped_ = false;
  while (!stopped_)
    run_once();
}

void EventLoop::run_once(std::optional<Duration> longest) {
  if (before_wait_)
    before_wait_();
  std::array<epoll_event, kEventsPerWait> events;
  const std::size_t count = wait(events, wait_milliseconds(longest));
  now_ = clock_();
  for (const epoll_event& event : std::span(events).first(count))
    dispatch(event);
  timers_.run_due(now_);
  run_deferred();
  destroy_doomed();
}

std::size_t EventLoop::wait(std::span<epoll_event> events, int milliseconds) {
  if (pacing_.pauses(last_events_, now_) && milliseconds != 0)
    std::this_thread::sleep_for(WakeupPacing::kPause);
  const bool spins = busy_poll_.begins() && milliseconds != 0;
  int count = spins ? spin(events) : 0;
  if (count == 0)
    count = ::epoll_wait(epoll_.get(), events.data(), kEventsPerWait, milliseconds);
  if (count < 0 && errno != EINTR)
    std::abort();  // EBADF, EINVAL: the loop itself is broken
  last_events_ = static_cast<std::size_t>(std::max(count, 0));
  busy_poll_.note_events(last_events_);
  return last_events_;
}

/// Timers are later by at most what it lasts.
int EventLoop::spin(std::span<epoll_event> events) {
  const auto end = std::chrono::steady_clock::now() + BusyPoll::kLongest;
  int count = 0;
  do
    count = ::epoll_wait(epoll_.get(), events.data(), kEventsPerWait, 0);
  while (count == 0 && std::chrono::steady_clock::now() < end);
  busy_poll_.ended(count != 0);
  return count;
}

void EventLoop::dispatch(const epoll_event& event) {
  const auto slot = static_cast<std::uint32_t>(event.data.u64);
  const auto generation = static_cast<std::uint32_t>(event.data.u64 >> 32U);
  const Slot& target = slots_[slot];
  if (!target.used || target.generation != generation) {
    ++stale_events_;
    return;
  }
  const IoCallback callback = target.callback;  // the slot table may grow during the call
  callback(event.events);
}

int EventLoop::wait_milliseconds(std::optional<Duration> longest) const {
  if (first_deferred_ != nullptr)
    return 0;
  std::optional<Duration> wait = longest;
  if (const auto deadline = timers_.next_deadline()) {
    // Rounded up: waking a fraction too early would only go round once more.
    const auto until = std::chrono::ceil<Duration>(*deadline - clock_());
    wait = wait ? std::min(*wait, until) : until;
  }
  if (!wait)
    return -1;
  return static_cast<int>(std::clamp<Duration::rep>(wait->count(), 0, INT_MAX));
}

std::uint32_t EventLoop::take_slot(IoCallback callback) {
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  slots_[slot].callback = callback;
  slots_[slot].used = true;
  return slot;
}

void EventLoop::free_slot(std::uint32_t slot) {
  slots_[slot].used = false;
  ++slots_[slot].generation;
  free_slots_.push_back(slot);
}

void EventLoop::run_deferred() {
  // Take the list over, so that what is scheduled from here on waits for the next iteration.
  DeferredCall* batch = first_deferred_;
  first_deferred_ = nullptr;
  if (batch != nullptr)
    batch->link_ = &batch;
  while (batch != nullptr) {
    DeferredCall& call = *batch;
    call.cancel();
    call.callback_();
  }
}

void EventLoop::destroy_doomed() {
  // A destructor may doom others. The two lists swap so that both keep their memory.
  while (!doomed_.empty()) {
    dying_.swap(doomed_);
    dying_.clear();
  }
}

void DeferredCall::schedule() {
  if (is_scheduled())
    return;
  next_ = loop_.first_deferred_;
  link_ = &loop_.first_deferred_;
  if (next_ != nullptr)
    next_->link_ = &next_;
  loop_.first_deferred_ = this;
}

void DeferredCall::cancel() {
  if (!is_scheduled())
    return;
  *link_ = next_;
  if (next_ != nullptr)
    next_->link_ = link_;
  next_ = nullptr;
  link_ = nullptr;
}

}  // namespace nsrelay
