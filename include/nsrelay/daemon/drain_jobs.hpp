#pragma once

#include <cstddef>
#include <functional>
#include <list>

#include "nsrelay/control/status_report.hpp"
#include "nsrelay/daemon/drain_scope.hpp"
#include "nsrelay/event/event_loop.hpp"
#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/relay/relay_context.hpp"

namespace nsrelay {

/// The drains that somebody waits for: each ends when the last connection of its scope has, or
/// closes what is left when its time is over. Any number at a time, also of one scope.
class DrainJobs {
 public:
  using Done = std::function<void(const DrainOutcome&)>;

  /// Borrows `context`; uses its ConnectionTable::set_on_taken().
  explicit DrainJobs(RelayContext& context);
  DrainJobs(const DrainJobs&) = delete;
  DrainJobs& operator=(const DrainJobs&) = delete;
  ~DrainJobs();

  /// The listeners of `scope` are closed, so many of them. `done` is called later, once.
  void start(DrainScope scope, std::size_t listeners, Duration timeout, Done done);

  /// The listeners are open again: whoever waits is told, and nothing is closed.
  void interrupt();

  [[nodiscard]] std::size_t size() const { return jobs_.size(); }

 private:
  struct Job {
    DrainScope scope;
    TimePoint deadline;
    Done done;
    DrainOutcome outcome;
    std::size_t left = 0;  ///< connections
    bool is_late = false;
  };

  void on_taken(const Forwarded& one) noexcept;
  void on_deadline() noexcept;
  void report() noexcept;
  void start_timer();

  RelayContext& context_;
  std::list<Job> jobs_;
  Timer timer_;
  DeferredCall report_;
};

}  // namespace nsrelay
