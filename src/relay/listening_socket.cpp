#include "nsrelay/relay/listening_socket.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <span>

#include "nsrelay/net/sctp_socket.hpp"
#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/net/udp_options.hpp"
#include "nsrelay/netns/netns_scope.hpp"
#include "nsrelay/upstream/target.hpp"
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

/// Otherwise the address may come later, or the probe below proves nothing.
bool has_to_wait_for_address(const ForwardRule& rule) {
  return !rule.freebind && rule.bind_device.empty();
}

bool is_multicast_v4(const IpAddress& address) {
  return !address.is_v6() && (address.bytes()[0] & 0xf0U) == 0xe0U;
}

/// Whether a namespace has no address at all yet, by its having no way to this one of IPv4. bind()
/// succeeds there: without a table of local addresses everything is taken for a broadcast address,
/// and what a UDP socket sends later leaves from another one.
bool is_out_of_reach(const SocketAddress& address, const Netns& netns) {
  const IpAddress& ip = address.endpoint().ip;
  if (address.family() != AF_INET || ip.is_any() || is_multicast_v4(ip))
    return false;
  const auto probe = make_socket_in(netns, AF_INET, SOCK_DGRAM, 0);
  return probe && ::connect(probe->get(), address.data(), address.size()) != 0 &&
         errno == ENETUNREACH;
}

Result<void> bind_in(const Netns& netns, int fd, const ForwardRule& rule,
                     const SocketAddress& address) {
  if (has_to_wait_for_address(rule) && is_out_of_reach(address, netns))
    return Error::from_errno("bind", EADDRNOTAVAIL);
  if (::bind(fd, address.data(), address.size()) != 0)
    return Error::from_errno("bind");
  return {};
}

Result<UniqueFd> open_tcp_at(const ForwardRule& rule, const ListenSpec& listen,
                             std::span<const SocketAddress> addresses, const Netns& netns) {
  const SocketAddress& address = addresses.front();
  auto socket = make_tcp_socket(rule, address.family(), netns);
  if (!socket)
    return socket;
  const int fd = socket->get();
  Result<void> set = set_listener_options(fd, rule, listen, address.family() == AF_INET6);
  if (set)
    set = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
  if (set)
    set = apply_tcp_options(fd, tcp_options_of(rule));
  if (set)
    set = bind_in(netns, fd, rule, address);
  if (!set)
    return std::move(set).error();
  if (::listen(fd, rule.backlog) != 0)
    return Error::from_errno("listen");
  return socket;
}

/// Without SO_REUSEADDR, with which any two UDP sockets could have one port.
Result<UniqueFd> open_udp_at(const ForwardRule& rule, const ListenSpec& listen,
                             std::span<const SocketAddress> addresses, const Netns& netns) {
  const SocketAddress& address = addresses.front();
  auto socket = make_socket_in(netns, address.family(), SOCK_DGRAM, 0);
  if (!socket)
    return socket;
  const int fd = socket->get();
  Result<void> set = set_listener_options(fd, rule, listen, address.family() == AF_INET6);
  if (set)
    set = apply_udp_options(fd, address.family(), udp_options_of(rule));
  if (set && needs_local_address(rule, address.endpoint().ip))
    set = report_local_address(fd, address.family());
  if (set)
    set = bind_in(netns, fd, rule, address);
  if (!set)
    return std::move(set).error();
  return socket;
}

Result<UniqueFd> open_sctp_at(const ForwardRule& rule, const ListenSpec& listen,
                              std::span<const SocketAddress> addresses, const Netns& netns) {
  const int family = addresses.front().family();
  auto socket = make_socket_in(netns, family, SOCK_STREAM, IPPROTO_SCTP);
  if (!socket)
    return explain_missing_sctp(std::move(socket).error());
  const int fd = socket->get();
  Result<void> set = set_listener_options(fd, rule, listen, family == AF_INET6);
  if (set)
    set = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
  if (set)
    set = apply_sctp_options(fd, sctp_options_of(rule));
  if (set)
    set = request_sctp_streams(fd, kOfferedSctpStreams);
  if (set)
    set = bind_sctp(fd, addresses);
  if (!set)
    return std::move(set).error();
  if (::listen(fd, rule.backlog) != 0)
    return explain_missing_sctp(Error::from_errno("listen"));
  return socket;
}

auto opener_for(Protocol protocol) {
  switch (protocol) {
    case Protocol::Udp:
      return open_udp_at;
    case Protocol::Sctp:
      return open_sctp_at;
    case Protocol::Tcp:
      break;
  }
  return open_tcp_at;
}

/// What an open socket cannot be made to have any more.
bool needs_new_socket(const ForwardRule& before, const ForwardRule& after) {
  const auto was_set_only_before = [&](auto option) {
    return before.*option != after.*option && after.*option == ForwardRule().*option;
  };
  return before.mptcp != after.mptcp || before.freebind != after.freebind ||
         before.reuse_port != after.reuse_port || was_set_only_before(&ForwardRule::congestion) ||
         was_set_only_before(&ForwardRule::receive_buffer) ||
         was_set_only_before(&ForwardRule::send_buffer);
}

}  // namespace

Result<std::vector<SocketAddress>> bind_addresses(const ListenSpec& listen, std::uint16_t port,
                                                  const Netns& netns) {
  std::vector<SocketAddress> addresses;
  for (const ZonedAddress& zoned : listen.addresses) {
    auto address = socket_address_in(netns, zoned, port);
    if (!address)
      return std::move(address).error();
    addresses.push_back(*address);
  }
  return addresses;
}

/// The kernel answers from the address that a socket is bound to, unless that was bound before the
/// namespace had any address.
bool needs_local_address(const ForwardRule& rule, const IpAddress& address) {
  return address.is_any() || !has_to_wait_for_address(rule);
}

Result<UniqueFd> open_listening_socket(const ForwardRule& rule, const ListenSpec& listen,
                                       std::uint16_t port, const Netns& netns) {
  const auto open_at = opener_for(rule.protocol);
  auto addresses = bind_addresses(listen, port, netns);
  if (!addresses)
    return std::move(addresses).error();
  auto socket = open_at(rule, listen, *addresses, netns);
  // A kernel without IPv6 still serves the other half of `*`.
  if (!socket && listen.dual_stack && socket.error().number() == EAFNOSUPPORT) {
    const SocketAddress any_v4(IpEndpoint{IpAddress::any_v4(), port});
    return open_at(rule, listen, {&any_v4, 1}, netns);
  }
  return socket;
}

bool retune_tcp_listening_socket(int fd, const ForwardRule& before, const ForwardRule& after) {
  if (needs_new_socket(before, after))
    return false;
  return change_tcp_options(fd, tcp_options_of(before), tcp_options_of(after)) &&
         ::listen(fd, after.backlog) == 0;
}

bool retune_sctp_listening_socket(int fd, const ForwardRule& before, const ForwardRule& after) {
  return !needs_new_socket(before, after) &&
         apply_sctp_options(fd, sctp_options_of(after)).has_value() &&
         ::listen(fd, after.backlog) == 0;
}

std::string describe_listener(const ListenSpec& listen, std::uint16_t port) {
  if (listen.dual_stack)
    return "*:" + std::to_string(port);
  return describe(listen.addresses, port);
}

}  // namespace nsrelay
