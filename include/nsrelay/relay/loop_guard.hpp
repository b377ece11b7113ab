#pragma once

#include <algorithm>
#include <cstddef>

#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/relay/client_origin.hpp"
#include "nsrelay/relay/connection_table.hpp"
#include "nsrelay/telemetry/log.hpp"

namespace nsrelay {

/// Catches forwarding that goes in a circle: a listener whose upstream leads back to it, by a name,
/// an address of another namespace or a firewall's redirection, where the configuration does not
/// show it. Each turn costs a connection, so that without a bound everything there is would be used
/// up.
///
/// Theory of operation. In a circle a client is one of our own upstream sockets. Whether it is
/// cannot be asked for free, and a circle grows fast: so one looks when the connections have become
/// half as many more at least as at the last look, or when a limit is reached, which a circle that
/// grows slowly does as well. A look costs one getsockname(2) for each connection, a few per new
/// connection on the average, and nothing as long as there are fewer than kFirstLook.
///
/// A look follows clients back to where they began (needed_proof()). If that leads to one listener
/// kMostReturns times it is a circle. Only what came to that listener is ended, hence nothing of
/// another tenant; the rest of the circle ends by that, as it would by any reset.
///
/// Not seen is what passes through another proxy, or where an address is rewritten on the way
/// outside of the listener's namespace.
class LoopGuard {
 public:
  static constexpr std::size_t kFirstLook = 64;
  /// Between two looks for the sake of a limit.
  static constexpr Duration kLimitPause{1000};

  /// Borrows both.
  LoopGuard(ConnectionTable& connections, Log& log) : connections_(connections), log_(log) {}
  LoopGuard(const LoopGuard&) = delete;
  LoopGuard& operator=(const LoopGuard&) = delete;

  /// Whether it is time to look. To be asked for every client; costs two comparisons.
  [[nodiscard]] bool is_due() {
    const std::size_t size = connections_.size();
    if (size < next_look_ / 4)
      next_look_ = std::max(kFirstLook, next_look_ / 2);
    return size >= next_look_;
  }

  /// Looks for circles, breaks them, and writes a record for each. Returns whether the newcomer
  /// belongs to one: it is to be refused then.
  bool breaks_loop(const Newcomer& newcomer, TimePoint now);

  /// A limit was reached, of descriptors or of a rule. Looks, unless that was done a moment ago.
  void look_at_limit(TimePoint now);

 private:
  bool look(const Newcomer* newcomer, TimePoint now);

  ConnectionTable& connections_;
  Log& log_;
  std::size_t next_look_ = kFirstLook;
  TimePoint last_limit_{};
};

}  // namespace nsrelay
