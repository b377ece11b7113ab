#include "demo_udp.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "nsrelay/netns/netns_scope.hpp"

namespace nsrelay {
namespace {

constexpr Duration kPatience{5000};
constexpr std::size_t kSizes[] = {0, 1, 64, 512, 1472, 9000, 16385, 65507};
constexpr std::size_t kLargest = 65536;

Result<void> exchange_one(const Interruptible& signals, int fd, const std::string& sent,
                          std::string& buffer) {
  if (::send(fd, sent.data(), sent.size(), 0) < 0)
    return Error::from_errno("send");
  if (auto ready = signals.wait_for(fd, POLLIN, kPatience); !ready)
    return std::move(ready).error();
  const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
  if (got < 0)
    return Error::from_errno("receive");
  if (sent != std::string_view(buffer.data(), static_cast<std::size_t>(got)))
    return Error("a datagram came back changed");
  return {};
}

}  // namespace

Result<UdpAnswer> exchange_datagrams(const Interruptible& signals, const Netns& netns,
                                     const SocketAddress& server) {
  const auto began = std::chrono::steady_clock::now();
  auto socket = make_socket_in(netns, server.family(), SOCK_DGRAM, 0);
  if (!socket)
    return std::move(socket).error();
  if (::connect(socket->get(), server.data(), server.size()) != 0)
    return Error::from_errno("connect");
  UdpAnswer answer;
  std::string buffer(kLargest, '\0');
  for (const std::size_t size : kSizes) {
    const std::string sent(size, static_cast<char>('a' + answer.datagrams));
    if (auto done = exchange_one(signals, socket->get(), sent, buffer); !done)
      return std::move(done).error().with_context("datagram of " + std::to_string(size) + " bytes");
    ++answer.datagrams;
    answer.bytes += size;
  }
  answer.time = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - began);
  return answer;
}

void serve_udp_echo(int bound_socket) {
  std::vector<char> buffer(kLargest);
  for (;;) {
    SocketAddress peer;
    const ssize_t got =
        ::recvfrom(bound_socket, buffer.data(), buffer.size(), 0, peer.data(), peer.size_to_fill());
    if (got >= 0)
      (void)::sendto(bound_socket, buffer.data(), static_cast<std::size_t>(got), 0, peer.data(),
                     peer.size());
  }
}

}  // namespace nsrelay
