#pragma once

#include <sys/epoll.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "nsrelay/base/delegate.hpp"
#include "nsrelay/base/duration.hpp"
#include "nsrelay/base/result.hpp"
#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/event/busy_poll.hpp"
#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/event/wakeup_pacing.hpp"

namespace nsrelay {

class DeferredCall;
class IoWatcher;

/// What a descriptor is told: the EPOLL* bits of epoll_ctl(2) that are set.
using IoCallback = Delegate<void(std::uint32_t)>;

/// One thread's reactor: descriptors (epoll), timers, calls put off to the end of the iteration,
/// and objects to be destroyed then. One iteration is
///
///     wait for events → read the clock → descriptors → due timers → deferred calls → destroy
///
/// An event carries its slot and the slot's generation: one that was fetched for a watcher which
/// has stopped since (in the same batch, even if its place is taken again) is dropped and
/// counted, never delivered to a stranger. All callbacks are noexcept.
class EventLoop {
 public:
  /// `clock` is for tests. Fails with the error of epoll_create1(2), e.g. EMFILE.
  static Result<std::unique_ptr<EventLoop>> create(
      std::function<TimePoint()> clock = std::chrono::steady_clock::now);

  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  ~EventLoop();

  /// Iterates until stop().
  void run();

  /// One iteration: waits until something is due, at most `longest` (nothing: for ever).
  void run_once(std::optional<Duration> longest = std::nullopt);

  /// Ends run() after the current iteration.
  void stop() { stopped_ = true; }

  /// The time at which the current iteration's events were fetched. Read once per iteration.
  [[nodiscard]] TimePoint now() const { return now_; }

  /// How long the current iteration has lasted. Reads the clock: for work in slices, once in a
  /// while.
  [[nodiscard]] TimePoint::duration spent() const { return clock_() - now_; }

  TimerQueue& timers() { return timers_; }

  /// Destroys `object` after the callbacks of this iteration. It is how an object ends itself from
  /// its own callback. Its destructor may put off the destruction of others.
  template <class Object>
  void destroy_later(std::unique_ptr<Object> object) {
    doomed_.push_back(Doomed(object.release(), [](void* opaque) {
      std::default_delete<Object>()(static_cast<Object*>(opaque));
    }));
  }

  /// Called before every wait; for output that was gathered during the iteration.
  void set_before_wait(Delegate<void()> callback) { before_wait_ = callback; }

  /// Whether run_once() spins before it sleeps.
  BusyPoll& busy_poll() { return busy_poll_; }

  /// Whether run_once() lets a moment pass before it asks for events.
  WakeupPacing& pacing() { return pacing_; }

  /// Events that came for a watcher which had stopped.
  [[nodiscard]] std::uint64_t stale_events() const { return stale_events_; }

 private:
  friend class DeferredCall;
  friend class IoWatcher;

  using Doomed = std::unique_ptr<void, void (*)(void*)>;

  struct Slot {
    IoCallback callback;
    std::uint32_t generation = 0;
    bool used = false;
  };

  EventLoop(UniqueFd epoll, std::function<TimePoint()> clock);

  std::uint32_t take_slot(IoCallback callback);
  void free_slot(std::uint32_t slot);
  std::size_t wait(std::span<epoll_event> events, int milliseconds);
  int spin(std::span<epoll_event> events);
  [[nodiscard]] int wait_milliseconds(std::optional<Duration> longest) const;
  void dispatch(const epoll_event& event);
  void run_deferred();
  void destroy_doomed();

  UniqueFd epoll_;
  std::function<TimePoint()> clock_;
  TimePoint now_;
  TimerQueue timers_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<Doomed> doomed_;
  std::vector<Doomed> dying_;
  DeferredCall* first_deferred_ = nullptr;
  Delegate<void()> before_wait_;
  BusyPoll busy_poll_;
  WakeupPacing pacing_;
  std::size_t last_events_ = 0;
  std::uint64_t stale_events_ = 0;
  bool stopped_ = false;
};

/// A call at the end of the current iteration, or of the next one when it is scheduled from a
/// deferred call; the loop does not sleep before it. Cancelled when destroyed.
class DeferredCall {
 public:
  /// Borrows `loop`, which must outlive this object.
  DeferredCall(EventLoop& loop, Delegate<void()> callback) : loop_(loop), callback_(callback) {}
  DeferredCall(const DeferredCall&) = delete;
  DeferredCall& operator=(const DeferredCall&) = delete;
  ~DeferredCall() { cancel(); }

  /// Does nothing when it is scheduled already.
  void schedule();
  /// Does nothing when it is not scheduled.
  void cancel();
  [[nodiscard]] bool is_scheduled() const { return link_ != nullptr; }

 private:
  friend class EventLoop;

  EventLoop& loop_;
  Delegate<void()> callback_;
  DeferredCall* next_ = nullptr;
  DeferredCall** link_ = nullptr;  // what points at this one in the list; null: not in a list
};

}  // namespace nsrelay
