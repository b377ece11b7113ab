#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/event/event_loop.hpp"

namespace nsrelay {

/// TCP sockets of finished connections whose last bytes are on their way.
///
/// close(2) would leave them to the kernel, which keeps their network namespace alive for as long
/// as it repeats itself to a peer that does not answer: a deleted one for more than a minute, with
/// its devices. So sockets of other namespaces are kept until everything is acknowledged, and are
/// reset when `on_netns_delete` of their rule, or their time, no longer lets them hold a namespace
/// that is gone. Nothing signals an acknowledgement: they are asked now and then.
class LingeringSockets {
 public:
  explicit LingeringSockets(EventLoop& loop);
  LingeringSockets(const LingeringSockets&) = delete;
  LingeringSockets& operator=(const LingeringSockets&) = delete;

  /// Ends the stream (FIN) and takes over a socket of the namespace `cookie`, of a connection whose
  /// rule has `policy`. It is closed once its data is acknowledged, and at the latest after a
  /// minute; at once where there are too many.
  void take(UniqueFd socket, std::uint64_t cookie, OnNetnsDelete policy);

  /// Namespaces with these cookies are gone. What lingers there, or is taken over from now on until
  /// the next call, is reset where its policy is Close; else it has its minute.
  void reset_in(const std::set<std::uint64_t>& gone);

  /// The drain of these namespaces is over: resets what lingers there with the policy Drain.
  void reset_drained_in(const std::set<std::uint64_t>& namespaces);

  /// Calls `visit` with the cookie and the policy of each socket.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const Socket& socket : sockets_)
      visit(socket.cookie, socket.policy);
  }

  [[nodiscard]] std::size_t size() const { return sockets_.size(); }

 private:
  struct Socket {
    UniqueFd fd;
    std::uint64_t cookie;
    OnNetnsDelete policy;
    TimePoint until;
  };

  void reset_all(OnNetnsDelete policy, const std::set<std::uint64_t>& namespaces);
  void on_timer() noexcept;

  EventLoop& loop_;
  Timer timer_;
  std::vector<Socket> sockets_;
  std::set<std::uint64_t> gone_;
};

}  // namespace nsrelay
