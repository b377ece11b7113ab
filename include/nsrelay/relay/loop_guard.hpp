#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "nsrelay/net/socket_address.hpp"
#include "nsrelay/relay/connection_table.hpp"
#include "nsrelay/relay/listener.hpp"

namespace nsrelay {

/// Catches forwarding that goes in a circle: a listener whose upstream leads back to it, by a name,
/// an address of this machine or a firewall's redirection, where the configuration does not show
/// it. Each turn costs a connection, so that without a bound everything there is would be used up.
///
/// Theory of operation. A client that is one of our own upstream sockets has that socket's address,
/// in the same namespace. Whether it is cannot be asked for free, and a circle grows fast: so one
/// looks when the connections have become twice as many as at the last look, which costs one
/// getsockname(2) for each, on the average less than two per connection, and nothing as long as
/// there are fewer than kFirstLook. From the client that has just come one goes back from
/// connection to connection; if that leads to the listener kMostReturns times it is a circle.
/// Those that pass through another machine, or through an interface into another namespace, are
/// not seen.
class LoopGuard {
 public:
  static constexpr std::size_t kFirstLook = 64;
  static constexpr int kMostReturns = 8;

  /// Borrows `connections`.
  explicit LoopGuard(ConnectionTable& connections) : connections_(connections) {}
  LoopGuard(const LoopGuard&) = delete;
  LoopGuard& operator=(const LoopGuard&) = delete;

  /// Whether it is time to look. To be asked for every client; costs two comparisons.
  [[nodiscard]] bool is_due() {
    const std::size_t size = connections_.size();
    if (size < next_look_ / 4)
      next_look_ = std::max(kFirstLook, next_look_ / 2);
    return size >= next_look_;
  }

  /// Looks whether `client`, who has come to `listener`, closes a circle. If so every connection of
  /// the circle is ended, and the name of the rule that it came from is returned.
  std::optional<std::string> break_loop(const ListenerInfo& listener, const IpEndpoint& client);

 private:
  std::vector<Forwarded*> find_loop(const ListenerInfo& listener, const IpEndpoint& client);

  ConnectionTable& connections_;
  std::size_t next_look_ = kFirstLook;
};

}  // namespace nsrelay
