#pragma once

#include <vector>

#include "nsrelay/net/socket_address.hpp"

namespace nsrelay {

/// The addresses of both ends of a connected socket; several of an SCTP endpoint that has several.
struct SocketEnds {
  std::vector<IpEndpoint> local{};
  std::vector<IpEndpoint> remote{};
};

/// Asks the kernel for the ends of a TCP, UDP or SCTP socket: getsockname(2), getpeername(2),
/// sctp_getladdrs(3), sctp_getpaddrs(3). `local` also has the address that the peer had connected
/// to where a firewall of the socket's namespace redirected it (SO_ORIGINAL_DST; TCP, SCTP). Empty
/// is what the kernel does not tell, or not any more.
SocketEnds socket_ends(int fd);

}  // namespace nsrelay
