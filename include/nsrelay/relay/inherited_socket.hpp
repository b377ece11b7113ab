#pragma once

#include <cstdint>

#include "nsrelay/base/result.hpp"
#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/netns/netns.hpp"

namespace nsrelay {

/// Whether `fd`, which somebody handed to us, is the socket that open_listening_socket() would make
/// inside `netns`: its namespace, protocol, address and device, that it listens, and the options
/// that only a new socket can be given. It asks the kernel, and believes no name.
bool is_listening_socket(int fd, const ForwardRule& rule, const ListenSpec& listen,
                         std::uint16_t port, const Netns& netns);

/// Sets on such a socket what else the rule wants: options, backlog, not blocking, close-on-exec.
Result<void> prepare_inherited_socket(int fd, const ForwardRule& rule);

}  // namespace nsrelay
