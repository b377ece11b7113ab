#pragma once

#include <chrono>
#include <cstddef>

#include "interruptible.hpp"
#include "nsrelay/net/socket_address.hpp"
#include "nsrelay/netns/netns.hpp"

namespace nsrelay {

/// What came back of a round of messages.
struct SctpAnswer {
  std::size_t messages = 0;
  std::size_t bytes = 0;
  std::chrono::microseconds time{};
};

/// Sends messages of every magnitude on different streams from inside `netns`, ordered and not, and
/// waits for each to come back with all that belongs to it. Fails where one does not, or differs.
Result<SctpAnswer> exchange_messages(const Interruptible& signals, const Netns& netns,
                                     const SocketAddress& server);

/// A blocking socket of an SCTP server that listens at `address` inside `netns`. Fails with
/// is_sctp_missing() where the kernel has none.
Result<UniqueFd> listen_sctp_in(const Netns& netns, const SocketAddress& address);

/// Sends back every message that comes to the associations of a listening socket, one association
/// after the other, for ever. For a child process.
[[noreturn]] void serve_sctp_echo(int listening_socket);

}  // namespace nsrelay
