#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "nsrelay/net/socket_address.hpp"

namespace nsrelay {

/// Datagrams of one size that came, or go, one behind the other on one way; the last may be
/// shorter. One datagram, mostly; a whole burst where the kernel gave it as one (UDP_GRO, udp(7)).
struct DatagramRun {
  std::span<const std::byte> data{};
  /// Of every datagram but the last. The size of `data` where there is only one.
  std::uint32_t segment_size = 0;
  /// The IPv4 type of service or IPv6 traffic class: DSCP and ECN.
  std::uint8_t traffic_class = 0;

  /// How many datagrams; an empty one is one too.
  [[nodiscard]] std::size_t count() const {
    return data.empty() ? 1 : (data.size() + segment_size - 1) / segment_size;
  }
};

/// Who a datagram of an unconnected socket came from and where it arrived; an answer goes back the
/// same way.
struct DatagramPath {
  IpEndpoint peer;
  /// The interface index of a link-local peer, else 0.
  std::uint32_t scope = 0;
  /// The address that the peer had sent to. Any (0.0.0.0) where the socket does not report it,
  /// because it is bound to one; the kernel then knows.
  IpAddress local;

  friend bool operator==(const DatagramPath&, const DatagramPath&) = default;
};

}  // namespace nsrelay
