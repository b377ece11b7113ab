#include "nsrelay/relay/inherited_socket.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <optional>
#include <string>

#include "nsrelay/net/sctp_socket.hpp"
#include "nsrelay/net/socket_address.hpp"
#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/net/udp_options.hpp"
#include "nsrelay/relay/listening_socket.hpp"
#include "nsrelay/upstream/upstream_pool.hpp"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

namespace nsrelay {
namespace {

std::optional<int> get_option(int fd, int level, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  if (::getsockopt(fd, level, option, &value, &size) != 0)
    return std::nullopt;
  return value;
}

std::string device_of(int fd) {
  std::array<char, IFNAMSIZ> name{};
  socklen_t size = name.size();
  if (::getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name.data(), &size) != 0)
    return {};
  return {name.data(), ::strnlen(name.data(), size)};
}

/// A rule that wants MPTCP has a plain TCP socket where the kernel does not give it.
bool has_protocol(int fd, const ForwardRule& rule) {
  const std::optional<int> protocol = get_option(fd, SOL_SOCKET, SO_PROTOCOL);
  switch (rule.protocol) {
    case Protocol::Tcp:
      return protocol == IPPROTO_TCP || (rule.mptcp && protocol == IPPROTO_MPTCP);
    case Protocol::Udp:
      return protocol == IPPROTO_UDP;
    case Protocol::Sctp:
      return protocol == IPPROTO_SCTP;
  }
  return false;
}

bool is_bound_to(int fd, const SocketAddress& wanted) {
  SocketAddress bound;
  if (::getsockname(fd, bound.data(), bound.size_to_fill()) != 0)
    return false;
  return bound.family() == wanted.family() && bound.endpoint() == wanted.endpoint() &&
         bound.scope() == wanted.scope();
}

bool is_sctp_wildcard(int fd, const SocketAddress& wanted, bool is_named) {
  SocketAddress bound;
  if (::getsockname(fd, bound.data(), bound.size_to_fill()) != 0)
    return false;
  return bound.endpoint().port == wanted.endpoint().port &&
         (bound.endpoint().ip.is_any() || is_named);
}

bool is_bound_to(int fd, const std::vector<SocketAddress>& wanted, Protocol protocol,
                 bool is_named) {
  const SocketAddress& first = wanted.front();
  if (protocol != Protocol::Sctp)
    return is_bound_to(fd, first);
  return first.endpoint().ip.is_any() ? is_sctp_wildcard(fd, first, is_named)
                                      : is_sctp_bound_to(fd, wanted);
}

bool has_fixed_options(int fd, const ForwardRule& rule, const ListenSpec& listen, bool v6) {
  return get_option(fd, SOL_SOCKET, SO_REUSEPORT) == (rule.reuse_port ? 1 : 0) &&
         get_option(fd, IPPROTO_IP, IP_FREEBIND) == (rule.freebind ? 1 : 0) &&
         (!v6 || get_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == (listen.dual_stack ? 0 : 1)) &&
         device_of(fd) == rule.bind_device;
}

}  // namespace

bool is_listening_socket(int fd, const ForwardRule& rule, const ListenSpec& listen,
                         std::uint16_t port, const Netns& netns, bool is_named) {
  const auto cookie = netns_cookie_of_socket(fd);
  if (!cookie || *cookie != netns.cookie() || !has_protocol(fd, rule))
    return false;
  if (rule.protocol != Protocol::Udp && get_option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 1)
    return false;
  const auto addresses = bind_addresses(listen, port, netns);
  return addresses && is_bound_to(fd, *addresses, rule.protocol, is_named) &&
         has_fixed_options(fd, rule, listen, addresses->front().family() == AF_INET6);
}

bool is_on_its_interfaces(int fd, const ForwardRule& rule, const ListenSpec& listen,
                          std::uint16_t port, const Netns& netns) {
  const auto addresses = bind_addresses(listen, port, netns);
  SocketAddress bound;
  return addresses && ::getsockname(fd, bound.data(), bound.size_to_fill()) == 0 &&
         bound.scope() == addresses->front().scope() && device_of(fd) == rule.bind_device;
}

Result<void> prepare_inherited_socket(int fd, const ForwardRule& rule) {
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || ::fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) != 0)
    return Error::from_errno("fcntl");
  if (rule.protocol == Protocol::Udp) {
    SocketAddress address;
    ::getsockname(fd, address.data(), address.size_to_fill());
    auto set = apply_udp_options(fd, address.family(), udp_options_of(rule));
    if (set && needs_local_address(rule, address.endpoint().ip))
      set = report_local_address(fd, address.family());
    return set;
  }
  Result<void> set;
  if (rule.protocol == Protocol::Tcp) {
    set = apply_tcp_options(fd, tcp_options_of(rule));
  } else {
    reset_on_close(fd, false);
    set = apply_sctp_options(fd, sctp_options_of(rule));
  }
  if (!set)
    return set;
  if (::listen(fd, rule.backlog) != 0)
    return Error::from_errno("listen");
  return {};
}

}  // namespace nsrelay
