#pragma once

#include <chrono>
#include <cstddef>

#include "interruptible.hpp"
#include "nsrelay/net/socket_address.hpp"
#include "nsrelay/netns/netns.hpp"

namespace nsrelay {

/// What came back of a round of datagrams.
struct UdpAnswer {
  std::size_t datagrams = 0;
  std::size_t bytes = 0;
  std::chrono::microseconds time{};
};

/// Sends datagrams of every magnitude, from empty to 65507 bytes, from inside `netns` and waits for
/// each to come back as it was. Fails where one does not, or differs.
Result<UdpAnswer> exchange_datagrams(const Interruptible& signals, const Netns& netns,
                                     const SocketAddress& server);

/// Sends back every datagram that comes to a bound socket, for ever. For a child process.
[[noreturn]] void serve_udp_echo(int bound_socket);

}  // namespace nsrelay
