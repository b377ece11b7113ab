#include "nsrelay/net/socket_ends.hpp"

#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "nsrelay/net/sctp_socket.hpp"

namespace nsrelay {
namespace {

using AskName = int (*)(int, sockaddr*, socklen_t*);

void append_name(std::vector<IpEndpoint>& ends, int fd, AskName ask) {
  SocketAddress address;
  const bool told = ask(fd, address.data(), address.size_to_fill()) == 0;
  if (told && (address.family() == AF_INET || address.family() == AF_INET6))
    ends.push_back(address.endpoint());
}

/// Where the connection is known to the connection tracking of the socket's namespace.
void append_original(std::vector<IpEndpoint>& ends, int fd) {
  if (ends.empty())
    return;
  const bool v6 = ends.front().ip.is_v6();
  SocketAddress address;
  if (::getsockopt(fd, v6 ? SOL_IPV6 : SOL_IP, v6 ? IP6T_SO_ORIGINAL_DST : SO_ORIGINAL_DST,
                   address.data(), address.size_to_fill()) != 0)
    return;
  const IpEndpoint original = address.endpoint();
  if (std::find(ends.begin(), ends.end(), original) == ends.end())
    ends.push_back(original);
}

int protocol_of(int fd) {
  int protocol = 0;
  socklen_t size = sizeof protocol;
  return ::getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 ? protocol : 0;
}

}  // namespace

SocketEnds socket_ends(int fd) {
  SocketEnds ends;
  const int protocol = protocol_of(fd);
  if (protocol == IPPROTO_SCTP) {
    ends = {sctp_local_endpoints(fd), sctp_peer_endpoints(fd)};
  } else {
    append_name(ends.local, fd, &::getsockname);
    append_name(ends.remote, fd, &::getpeername);
  }
  if (protocol != IPPROTO_UDP)
    append_original(ends.local, fd);
  return ends;
}

}  // namespace nsrelay
