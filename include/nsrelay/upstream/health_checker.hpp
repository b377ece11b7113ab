#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/event/event_loop.hpp"

namespace nsrelay {

class UpstreamPool;

/// Finds out by itself, every `interval`, whether the targets of a pool take connections: connects
/// as a client's connection would, and closes at once with a reset, which leaves nothing behind.
/// What it met with counts like a connection's success or failure (TargetHealth).
class HealthChecker {
 public:
  /// Starts; the probes of several targets are spread over the interval. `check` has an interval.
  /// Borrows the rest.
  HealthChecker(EventLoop& loop, UpstreamPool& pool, const HealthCheck& check);
  HealthChecker(const HealthChecker&) = delete;
  HealthChecker& operator=(const HealthChecker&) = delete;
  ~HealthChecker();

  /// Ends probes from a namespace that is gone, so that they do not keep it.
  void leave_gone_netns();

 private:
  class Probe;

  std::vector<std::unique_ptr<Probe>> probes_;
};

}  // namespace nsrelay
