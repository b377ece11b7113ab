#pragma once

#include <cstdint>

#include "nsrelay/base/result.hpp"
#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/netns/netns.hpp"

namespace nsrelay {

/// Whether `fd`, which somebody handed to us, is the socket that open_listening_socket() would make
/// inside `netns`: its namespace, protocol, address and device, that it listens, and the options
/// that only a new socket can be given. It asks the kernel, and believes no name but where the
/// kernel does not tell: once an SCTP endpoint on a wildcard address has had an association,
/// getsockname(2) gives that one's address. `is_named`: it came as the socket of this listener.
bool is_listening_socket(int fd, const ForwardRule& rule, const ListenSpec& listen,
                         std::uint16_t port, const Netns& netns, bool is_named);

/// Sets on such a socket what else the rule wants: options, backlog, not blocking, close-on-exec.
Result<void> prepare_inherited_socket(int fd, const ForwardRule& rule);

/// Whether `fd`, which was bound for a listener at `listen` in `netns`, is bound to the interfaces
/// that the rule names now: one that is made again under its name is another.
bool is_on_its_interfaces(int fd, const ForwardRule& rule, const ListenSpec& listen,
                          std::uint16_t port, const Netns& netns);

}  // namespace nsrelay
