#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/net/socket_address.hpp"
#include "nsrelay/netns/netns.hpp"

namespace nsrelay {

/// `{netns}` in `text` replaced by a namespace's name.
std::string expand_netns(std::string_view text, std::string_view netns);

/// Whether any target of the rule contains `{netns}`, so that each namespace has its own.
bool depends_on_netns(const UpstreamConfig& upstream);

/// The port of `target` for a listener that is `port_offset` behind the first port of its range.
std::uint16_t port_of(const TargetSpec& target, std::uint16_t port_offset);

/// `address` with its port for a socket of `netns`, where the index of its zone is looked up;
/// ENODEV where there is no such interface.
Result<SocketAddress> socket_address_in(const Netns& netns, const ZonedAddress& address,
                                        std::uint16_t port);

/// `10.0.0.5:80`, `[::1]:80`, `[fe80::1%eth0]:80`, for an SCTP endpoint `10.0.0.5+10.0.1.5:80`.
std::string describe(const std::vector<ZonedAddress>& addresses, std::uint16_t port);

/// How a target is called in the log: `10.0.0.5:80`, `app.example:80`, `unix:/run/app.sock`,
/// `10.0.0.5+10.0.1.5:2905`.
std::string describe(const TargetSpec& target, std::uint16_t port_offset);

}  // namespace nsrelay
