#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nsrelay/event/event_loop.hpp"
#include "nsrelay/netns/netns.hpp"

namespace nsrelay {

/// Sockets for the upstreams of one rule, some made ahead: entering another namespace and going
/// home costs more than the socket, and one journey serves as well for a few of them.
///
/// Theory of operation. Who comes seldom gets a socket of his own. When the sockets of one journey
/// are used up within kBusy, the next one brings twice as many, at most kMost. What has not been
/// used for kKept is closed: a socket costs a descriptor, and keeps its namespace alive. For the
/// daemon's own namespace nothing is made ahead, nor for Unix sockets.
class SocketStock {
 public:
  static constexpr std::size_t kMost = 16;
  static constexpr Duration kBusy{20};
  static constexpr Duration kKept{100};

  /// Of sockets of `type` and `protocol`, see socket(2). Borrows `loop`.
  SocketStock(EventLoop& loop, int type, int protocol);

  /// An unconnected, non-blocking socket of `netns`. Fails as make_socket_in() does.
  Result<UniqueFd> take(const Netns& netns, int family);

  /// Closes what was made ahead.
  void clear();

  [[nodiscard]] std::size_t size() const { return sockets_.size(); }

 private:
  Result<UniqueFd> fetch(const Netns& netns, int family);
  void on_timer() noexcept { clear(); }

  EventLoop& loop_;
  int type_;
  int protocol_;
  Timer timer_;
  std::vector<UniqueFd> sockets_;  ///< all of one namespace and one family
  std::uint64_t cookie_ = 0;
  int family_ = 0;
  std::size_t brought_ = 0;  ///< by the last journey
  TimePoint last_journey_{};
};

}  // namespace nsrelay
