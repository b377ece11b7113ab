#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/net/socket_address.hpp"
#include "nsrelay/relay/connection_table.hpp"
#include "nsrelay/relay/listener.hpp"
#include "nsrelay/relay/rule_runtime.hpp"
#include "nsrelay/telemetry/log.hpp"

namespace nsrelay {

/// A client that a listener is about to serve, as the kernel sees it.
struct Newcomer {
  const ListenerInfo& listener;
  const RuleRuntime& runtime;
  IpEndpoint peer;
  std::vector<IpEndpoint> local;  ///< the addresses that it may have connected to
};

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
/// A client is taken for an upstream socket where both sockets have the same two ends the other way
/// round, in any namespaces; in one and the same namespace the client's end is enough for UDP and
/// SCTP, whose sockets share no port. Addresses are not unique among namespaces: across them the
/// client must also have come shortly after the other connection, and loopback addresses do not
/// count. A look follows these pairs back to where they began. If that leads to one listener
/// kMostReturns times it is a circle. Only what came to that listener is ended, hence nothing of
/// another tenant; the rest of the circle ends by that, as it would by any reset.
///
/// Not seen is what passes through another proxy, or where an address is rewritten on the way
/// outside of the listener's namespace.
class LoopGuard {
 public:
  static constexpr std::size_t kFirstLook = 64;
  static constexpr std::size_t kMostReturns = 8;
  /// How long after a connection has begun its upstream is accepted, where both are ours.
  static constexpr Duration kLongestHop{10'000};
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
