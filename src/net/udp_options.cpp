#include "nsrelay/net/udp_options.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <limits>

#include "nsrelay/net/socket_options.hpp"

namespace nsrelay {
namespace {

// A burst of some milliseconds at 10 Gbit/s.
constexpr ByteSize kBuffer{4 * 1024 * 1024};

/// A size that the rule wants, or the default. Falls back to what the kernel's limit allows.
Result<void> set_buffer(int fd, int force, int option, const std::optional<ByteSize>& wanted,
                        const char* what) {
  constexpr std::uint64_t kLargest = std::numeric_limits<int>::max();
  const int bytes = static_cast<int>(std::min(wanted.value_or(kBuffer).bytes, kLargest));
  if (set_option(fd, SOL_SOCKET, force, bytes, what))
    return {};
  return set_option(fd, SOL_SOCKET, option, bytes, what);
}

}  // namespace

Result<void> apply_udp_options(int fd, int family, const UdpOptions& options) {
  const bool v6 = family == AF_INET6;
  (void)set_option(fd, SOL_UDP, UDP_GRO, 1, "UDP_GRO");  // 5.0; without it bursts come in pieces
  Result<void> set = set_option(fd, SOL_SOCKET, SO_RXQ_OVFL, 1, "SO_RXQ_OVFL");
  // Also on an IPv6 socket, for the IPv4 half of a dual-stack one.
  if (set)
    set = set_option(fd, IPPROTO_IP, IP_RECVTOS, 1, "IP_RECVTOS");
  if (set)
    set = set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT, "IP_MTU_DISCOVER");
  if (set && v6)
    set = set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1, "IPV6_RECVTCLASS");
  if (set && v6)
    set = set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT, "IPV6_MTU_DISCOVER");
  if (set)
    set = set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, options.receive_buffer, "SO_RCVBUF");
  if (set)
    set = set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, options.send_buffer, "SO_SNDBUF");
  return set;
}

Result<void> report_local_address(int fd, int family) {
  if (family == AF_INET6)
    if (auto set = set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO"); !set)
      return set;
  return set_option(fd, IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO");
}

}  // namespace nsrelay
