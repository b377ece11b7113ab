#include "nsrelay/upstream/socket_stock.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "nsrelay/netns/netns_scope.hpp"

namespace nsrelay {

SocketStock::SocketStock(EventLoop& loop, int type, int protocol)
    : loop_(loop),
      type_(type),
      protocol_(protocol),
      timer_(loop.timers(), Delegate<void()>::to<&SocketStock::on_timer>(this)) {}

Result<UniqueFd> SocketStock::take(const Netns& netns, int family) {
  if (family == AF_UNIX || netns.cookie() == home_netns().cookie())
    return make_socket_in(netns, family, type_, protocol_);
  if (netns.cookie() != cookie_ || family != family_) {
    clear();
    brought_ = 0;
    cookie_ = netns.cookie();
    family_ = family;
  }
  if (sockets_.empty())
    return fetch(netns, family);
  UniqueFd socket = std::move(sockets_.back());
  sockets_.pop_back();
  return socket;
}

/// One for the caller, the rest for the stock.
Result<UniqueFd> SocketStock::fetch(const Netns& netns, int family) {
  const bool is_busy = brought_ > 0 && loop_.now() - last_journey_ <= kBusy;
  const std::size_t wanted = is_busy ? std::min(2 * brought_, kMost) : 1;
  auto made = make_sockets_in(netns, family, type_, protocol_, wanted);
  if (!made)
    return std::move(made).error();
  brought_ = made->size();
  last_journey_ = loop_.now();
  sockets_ = *std::move(made);
  UniqueFd socket = std::move(sockets_.back());
  sockets_.pop_back();
  if (!sockets_.empty())
    timer_.start(loop_.now() + kKept);
  return socket;
}

void SocketStock::clear() {
  sockets_.clear();
  timer_.stop();
}

}  // namespace nsrelay
