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

void LingeringSockets::take(UniqueFd socket, std::uint64_t cookie, OnNetnsDelete policy) {
  const bool ends_with_netns = policy == OnNetnsDelete::Close && gone_.contains(cookie);
  if (ends_with_netns)
    reset_on_close(socket.get());
  if (ends_with_netns || sockets_.size() >= kMost)
    return;
  ::shutdown(socket.get(), SHUT_RDWR);
  sockets_.push_back({std::move(socket), cookie, policy, loop_.now() + kLongest});
  if (!timer_.is_running())
    timer_.start(loop_.now() + kInterval);
}

void LingeringSockets::reset_in(const std::set<std::uint64_t>& gone) {
  gone_ = gone;
  reset_all(OnNetnsDelete::Close, gone);
}

void LingeringSockets::reset_drained_in(const std::set<std::uint64_t>& namespaces) {
  reset_all(OnNetnsDelete::Drain, namespaces);
}

void LingeringSockets::reset_all(OnNetnsDelete policy, const std::set<std::uint64_t>& namespaces) {
  std::erase_if(sockets_, [&](const Socket& socket) {
    const bool is_over = socket.policy == policy && namespaces.contains(socket.cookie);
    if (is_over)
      reset_on_close(socket.fd.get());
    return is_over;
  });
}

void LingeringSockets::on_timer() noexcept {
  std::erase_if(sockets_, [&](const Socket& socket) {
    const bool is_late = socket.until <= loop_.now();
    if (is_late && gone_.contains(socket.cookie))
      reset_on_close(socket.fd.get());  // or the kernel would hold the namespace still longer
    return is_late || unacknowledged_bytes(socket.fd.get()) == 0;
  });
  if (!sockets_.empty())
    timer_.start(loop_.now() + kInterval);
}

}  // namespace nsrelay
