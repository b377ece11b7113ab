#include "upstream_socket.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/upstream/connect_error.hpp"

namespace nsrelay {
namespace {

Result<void> set_protocol_options(int fd, int family, const UpstreamPool& pool,
                                  const ConnectRequest& request) {
  switch (pool.protocol()) {
    case Protocol::Udp:
      return apply_udp_options(fd, family, pool.udp_options());
    case Protocol::Sctp: {
      auto set = apply_sctp_options(fd, pool.sctp_options());
      return set ? request_sctp_streams(fd, request.sctp_streams) : set;
    }
    case Protocol::Tcp:
      break;
  }
  if (request.hold_ack)
    hold_handshake_ack(fd);
  return apply_tcp_options(fd, pool.tcp_options());
}

Result<void> bind_source(int fd, const IpAddress& source) {
  // The port is chosen by connect(), when the whole connection is known: ip(7).
  auto set = set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1, "IP_BIND_ADDRESS_NO_PORT");
  const SocketAddress from(IpEndpoint{source, 0});
  if (set && ::bind(fd, from.data(), from.size()) != 0)
    return Error::from_errno("bind source " + source.to_string());
  return set;
}

}  // namespace

Result<UniqueFd> make_upstream_socket(UpstreamPool& pool, DescriptorReserve& reserve,
                                      const Netns& netns, int family,
                                      const std::optional<IpAddress>& source,
                                      const ConnectRequest& request) {
  auto made = pool.sockets().take(netns, family);
  if (!made && reason_of_connect_error(made.error().number()) == Reason::OutOfDescriptors &&
      reserve.spend())
    made = pool.sockets().take(netns, family);
  if (!made || family == AF_UNIX)
    return made;
  Result<void> set = set_protocol_options(made->get(), family, pool, request);
  if (set && !pool.bind_device().empty())
    set = bind_to_device(made->get(), pool.bind_device());
  if (set && source)
    set = bind_source(made->get(), *source);
  if (!set)
    return std::move(set).error();
  return made;
}

}  // namespace nsrelay
