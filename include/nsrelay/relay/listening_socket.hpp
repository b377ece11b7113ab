#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nsrelay/base/result.hpp"
#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/net/socket_address.hpp"
#include "nsrelay/netns/netns.hpp"

namespace nsrelay {

/// Makes the socket of one port of one `listen` entry inside `netns`: all options of the rule set,
/// bound, not blocking. TCP and SCTP: listening; accepted sockets inherit the options. UDP: where
/// it needs_local_address() it reports which address a datagram was sent to. The error reads like
/// `bind: Address already in use`; its number tells whether a later try can succeed.
Result<UniqueFd> open_listening_socket(const ForwardRule& rule, const ListenSpec& listen,
                                       std::uint16_t port, const Netns& netns);

/// Where such a socket is bound: one address, or several where `listen` is a multihomed SCTP
/// endpoint. Fails with ENODEV where `netns` has no interface of the name that stands behind an
/// address (`%eth0`).
Result<std::vector<SocketAddress>> bind_addresses(const ListenSpec& listen, std::uint16_t port,
                                                  const Netns& netns);

/// Whether a UDP socket of `rule` that is bound to `address` has to say from which address it
/// answers.
bool needs_local_address(const ForwardRule& rule, const IpAddress& address);

/// Gives an open listening socket of the rule `before` the options of `after`, as far as an open
/// one can have them. False where it takes a new socket (MPTCP, freebind, reuse_port, an option of
/// the kernel's own choosing that cannot be restored), or where the kernel refuses; the caller
/// then opens one.
bool retune_tcp_listening_socket(int fd, const ForwardRule& before, const ForwardRule& after);

/// The same for SCTP. What associations are offered (streams) never changes.
bool retune_sctp_listening_socket(int fd, const ForwardRule& before, const ForwardRule& after);

/// How a listener is called: `0.0.0.0:8000`, `[::1]:8000`, `*:8000` (both families),
/// `[fe80::1%eth0]:8000`, `10.0.0.1+10.0.1.1:2905` (one SCTP endpoint).
std::string describe_listener(const ListenSpec& listen, std::uint16_t port);

}  // namespace nsrelay
