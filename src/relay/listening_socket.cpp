#include "nsrelay/relay/listening_socket.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/net/udp_options.hpp"
#include "nsrelay/netns/netns_scope.hpp"
#include "nsrelay/upstream/upstream_pool.hpp"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

namespace nsrelay {
namespace {

/// MPTCP where the rule wants it and this kernel and namespace have it (net.mptcp.enabled): a plain
/// TCP listener serves the same clients, over one path.
Result<UniqueFd> make_tcp_socket(const ForwardRule& rule, int family, const Netns& netns) {
  if (rule.mptcp) {
    auto socket = make_socket_in(netns, family, SOCK_STREAM, IPPROTO_MPTCP);
    const int error = socket ? 0 : socket.error().number();
    if (error != EPROTONOSUPPORT && error != ENOPROTOOPT && error != EINVAL)
      return socket;
  }
  return make_socket_in(netns, family, SOCK_STREAM, 0);
}

/// What is common to listeners of all protocols.
Result<void> set_listener_options(int fd, const ForwardRule& rule, const ListenSpec& listen,
                                  bool v6) {
  Result<void> set;
  if (rule.reuse_port)
    set = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT");
  if (set && v6)
    set = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, listen.dual_stack ? 0 : 1, "IPV6_V6ONLY");
  if (set && rule.freebind)
    set = set_option(fd, IPPROTO_IP, IP_FREEBIND, 1, "IP_FREEBIND");
  if (set && !rule.bind_device.empty())
    set = bind_to_device(fd, rule.bind_device);
  return set;
}

Result<UniqueFd> open_tcp_at(const ForwardRule& rule, const ListenSpec& listen,
                             const SocketAddress& address, const Netns& netns) {
  auto socket = make_tcp_socket(rule, address.family(), netns);
  if (!socket)
    return socket;
  const int fd = socket->get();
  Result<void> set = set_listener_options(fd, rule, listen, address.family() == AF_INET6);
  if (set)
    set = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
  if (set)
    set = apply_tcp_options(fd, tcp_options_of(rule));
  if (!set)
    return std::move(set).error();
  if (::bind(fd, address.data(), address.size()) != 0)
    return Error::from_errno("bind");
  if (::listen(fd, rule.backlog) != 0)
    return Error::from_errno("listen");
  return socket;
}

/// Without SO_REUSEADDR, with which any two UDP sockets could have one port.
Result<UniqueFd> open_udp_at(const ForwardRule& rule, const ListenSpec& listen,
                             const SocketAddress& address, const Netns& netns) {
  auto socket = make_socket_in(netns, address.family(), SOCK_DGRAM, 0);
  if (!socket)
    return socket;
  const int fd = socket->get();
  Result<void> set = set_listener_options(fd, rule, listen, address.family() == AF_INET6);
  if (set)
    set = apply_udp_options(fd, address.family(), udp_options_of(rule));
  // The kernel answers from the address that a socket is bound to.
  if (set && address.endpoint().ip.is_any())
    set = report_local_address(fd, address.family());
  if (!set)
    return std::move(set).error();
  if (::bind(fd, address.data(), address.size()) != 0)
    return Error::from_errno("bind");
  return socket;
}

}  // namespace

Result<SocketAddress> bind_address(const ListenSpec& listen, std::uint16_t port,
                                   const Netns& netns) {
  const ZonedAddress& zoned = listen.addresses.front();
  std::uint32_t scope = 0;
  if (!zoned.zone.empty()) {
    auto index = interface_index_in(netns, zoned.zone);
    if (!index)
      return std::move(index).error();
    scope = *index;
  }
  return SocketAddress(IpEndpoint{zoned.address, port}, scope);
}

Result<UniqueFd> open_listening_socket(const ForwardRule& rule, const ListenSpec& listen,
                                       std::uint16_t port, const Netns& netns) {
  const auto open_at = rule.protocol == Protocol::Udp ? open_udp_at : open_tcp_at;
  auto address = bind_address(listen, port, netns);
  if (!address)
    return std::move(address).error();
  auto socket = open_at(rule, listen, *address, netns);
  // A kernel without IPv6 still serves the other half of `*`.
  if (!socket && listen.dual_stack && socket.error().number() == EAFNOSUPPORT)
    return open_at(rule, listen, SocketAddress(IpEndpoint{IpAddress::any_v4(), port}), netns);
  return socket;
}

bool retune_tcp_listening_socket(int fd, const ForwardRule& before, const ForwardRule& after) {
  const auto was_set_only_before = [&](auto option) {
    return before.*option != after.*option && after.*option == ForwardRule().*option;
  };
  if (before.mptcp != after.mptcp || before.freebind != after.freebind ||
      before.reuse_port != after.reuse_port || was_set_only_before(&ForwardRule::congestion) ||
      was_set_only_before(&ForwardRule::receive_buffer) ||
      was_set_only_before(&ForwardRule::send_buffer))
    return false;
  return change_tcp_options(fd, tcp_options_of(before), tcp_options_of(after)) &&
         ::listen(fd, after.backlog) == 0;
}

std::string describe_listener(const ListenSpec& listen, std::uint16_t port) {
  const ZonedAddress& zoned = listen.addresses.front();
  const std::string port_text = ":" + std::to_string(port);
  if (listen.dual_stack)
    return "*" + port_text;
  if (!zoned.address.is_v6())
    return zoned.address.to_string() + port_text;
  const std::string zone = zoned.zone.empty() ? std::string() : "%" + zoned.zone;
  return "[" + zoned.address.to_string() + zone + "]" + port_text;
}

}  // namespace nsrelay
