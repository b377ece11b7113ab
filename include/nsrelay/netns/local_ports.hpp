#pragma once

#include <cstdint>
#include <optional>

#include "nsrelay/netns/netns.hpp"

namespace nsrelay {

/// How many ports the kernel may choose from for what connects inside `netns`
/// (net.ipv4.ip_local_port_range, ip(7)); nothing where that cannot be read.
std::optional<std::uint32_t> count_local_ports(const Netns& netns);

}  // namespace nsrelay
