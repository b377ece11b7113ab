#include "nsrelay/event/timer_queue.hpp"

#include <utility>

namespace nsrelay {

std::optional<TimePoint> TimerQueue::next_deadline() const {
  if (heap_.empty())
    return std::nullopt;
  return heap_.front().deadline;
}

void TimerQueue::run_due(TimePoint now) {
  // Whatever is started from a callback gets a deadline after `now` (see insert), so this ends.
  running_until_ = now;
  while (!heap_.empty() && heap_.front().deadline <= now) {
    Timer& timer = *heap_.front().timer;
    remove(timer);
    timer.callback_();
  }
  running_until_.reset();
}

void TimerQueue::insert(Timer& timer, TimePoint deadline) {
  if (running_until_ && deadline <= *running_until_)
    deadline = *running_until_ + TimePoint::duration(1);
  heap_.push_back({deadline, &timer});
  timer.place_ = heap_.size() - 1;
  move_up(timer.place_);
}

void TimerQueue::remove(Timer& timer) {
  const std::size_t place = std::exchange(timer.place_, Timer::kNowhere);
  const Entry last = heap_.back();
  heap_.pop_back();
  if (last.timer == &timer)
    return;
  put(place, last);
  move_up(place);
  move_down(last.timer->place_);
}

void TimerQueue::move_up(std::size_t place) {
  const Entry entry = heap_[place];
  while (place > 0) {
    const std::size_t parent = (place - 1) / 2;
    if (heap_[parent].deadline <= entry.deadline)
      break;
    put(place, heap_[parent]);
    place = parent;
  }
  put(place, entry);
}

void TimerQueue::move_down(std::size_t place) {
  const Entry entry = heap_[place];
  for (std::size_t child = 2 * place + 1; child < heap_.size(); child = 2 * place + 1) {
    if (child + 1 < heap_.size() && heap_[child + 1].deadline < heap_[child].deadline)
      ++child;
    if (entry.deadline <= heap_[child].deadline)
      break;
    put(place, heap_[child]);
    place = child;
  }
  put(place, entry);
}

void TimerQueue::put(std::size_t place, const Entry& entry) {
  heap_[place] = entry;
  entry.timer->place_ = place;
}

void Timer::start(TimePoint deadline) {
  stop();
  queue_.insert(*this, deadline);
}

void Timer::stop() {
  if (is_running())
    queue_.remove(*this);
}

}  // namespace nsrelay
