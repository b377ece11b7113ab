#pragma once

#include <optional>

#include "nsrelay/base/byte_size.hpp"
#include "nsrelay/base/result.hpp"

namespace nsrelay {

/// What a rule wants of its UDP sockets.
struct UdpOptions {
  std::optional<ByteSize> receive_buffer;
  std::optional<ByteSize> send_buffer;
};

/// Sets up a UDP socket of `family` to forward with: it reports traffic class and ECN, the overflow
/// of its queue and, where the kernel can, gives bursts as one (UDP_GRO); it sends what is longer
/// than the MTU in fragments. Buffers without a wish are raised to 4 MiB, as far as
/// net.core.rmem_max and wmem_max or CAP_NET_ADMIN allow (socket(7)).
Result<void> apply_udp_options(int fd, int family, const UdpOptions& options);

/// Makes the socket report for each datagram the address that it was sent to (ip(7), ipv6(7)), IPv4
/// clients of a dual-stack socket included.
Result<void> report_local_address(int fd, int family);

}  // namespace nsrelay
