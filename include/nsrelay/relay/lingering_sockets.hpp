#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/event/event_loop.hpp"

namespace nsrelay {

/// TCP sockets of finished connections whose last bytes are on their way.
///
/// close(2) would leave them to the kernel, which keeps their network namespace alive for as long
/// as it repeats itself to a peer that does not answer: a deleted one for more than a minute, with
/// its devices. So sockets of other namespaces are kept until everything is acknowledged, and are
/// reset when their namespace goes. Nothing signals an acknowledgement: they are asked now and
/// then.
class LingeringSockets {
 public:
  explicit LingeringSockets(EventLoop& loop);
  LingeringSockets(const LingeringSockets&) = delete;
  LingeringSockets& operator=(const LingeringSockets&) = delete;

  /// Ends the stream (FIN) and takes over a socket of the namespace `cookie`. It is closed once
  /// its data is acknowledged, and at the latest after a minute; at once where there are too many.
  void take(UniqueFd socket, std::uint64_t cookie);

  /// Namespaces with these cookies are gone: resets what lingers there, and what is taken over
  /// from now on until the next call.
  void reset_in(const std::set<std::uint64_t>& gone);

  [[nodiscard]] std::size_t size() const { return sockets_.size(); }

 private:
  struct Socket {
    UniqueFd fd;
    std::uint64_t cookie;
    TimePoint until;
  };

  void on_timer() noexcept;

  EventLoop& loop_;
  Timer timer_;
  std::vector<Socket> sockets_;
  std::set<std::uint64_t> gone_;
};

}  // namespace nsrelay
