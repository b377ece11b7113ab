#include "nsrelay/relay/lingering_sockets.hpp"

#include <sys/socket.h>

#include "nsrelay/net/socket_options.hpp"

namespace nsrelay {
namespace {

constexpr std::size_t kMost = 1024;
constexpr auto kInterval = std::chrono::milliseconds(100);
constexpr auto kLongest = std::chrono::seconds(60);

}  // namespace

LingeringSockets::LingeringSockets(EventLoop& loop)
    : loop_(loop), timer_(loop.timers(), Delegate<void()>::to<&LingeringSockets::on_timer>(this)) {}

void LingeringSockets::take(UniqueFd socket, std::uint64_t cookie) {
  if (gone_.contains(cookie))
    reset_on_close(socket.get());
  if (gone_.contains(cookie) || sockets_.size() >= kMost)
    return;
  ::shutdown(socket.get(), SHUT_RDWR);
  sockets_.push_back({std::move(socket), cookie, loop_.now() + kLongest});
  if (!timer_.is_running())
    timer_.start(loop_.now() + kInterval);
}

void LingeringSockets::reset_in(const std::set<std::uint64_t>& gone) {
  gone_ = gone;
  std::erase_if(sockets_, [&](const Socket& socket) {
    const bool is_orphan = gone.contains(socket.cookie);
    if (is_orphan)
      reset_on_close(socket.fd.get());
    return is_orphan;
  });
}

void LingeringSockets::on_timer() noexcept {
  std::erase_if(sockets_, [&](const Socket& socket) {
    return socket.until <= loop_.now() || unacknowledged_bytes(socket.fd.get()) == 0;
  });
  if (!sockets_.empty())
    timer_.start(loop_.now() + kInterval);
}

}  // namespace nsrelay
