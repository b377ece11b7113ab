#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "nsrelay/net/socket_address.hpp"

namespace nsrelay {

/// What the header of the PROXY protocol tells: who connected to whom.
struct ProxyAddresses {
  IpEndpoint source;
  IpEndpoint destination;

  friend bool operator==(const ProxyAddresses&, const ProxyAddresses&) = default;
};

/// A header of version 1 (text), as
/// https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt has it. Addresses of two families
/// become UNKNOWN.
std::string encode_proxy_v1(const ProxyAddresses& addresses);

/// A header of version 2 (binary) with the name of a network namespace as its TLV (PP2_TYPE_NETNS,
/// 0x30). The name has at most 65000 bytes. Addresses of two families become AF_UNSPEC.
std::string encode_proxy_v2(const ProxyAddresses& addresses, std::string_view netns);

/// What the first bytes of a stream are.
struct ProxyHeader {
  enum class Status : std::uint8_t {
    Incomplete,  ///< they may become a header
    Invalid,     ///< they will not
    Complete,    ///< all there is to know is known
  };
  Status status = Status::Incomplete;
  /// Complete: how long the header is, which may be longer than what was seen of it.
  std::size_t length = 0;
  /// Complete: nothing where the sender speaks for itself (LOCAL) or does not know (UNKNOWN,
  /// AF_UNSPEC, AF_UNIX).
  std::optional<ProxyAddresses> addresses = std::nullopt;
  /// Invalid: why, for a person.
  std::string_view fault = {};
};

/// No more than so many bytes are needed to parse any header.
inline constexpr std::size_t kProxyHeaderPrefix = 107;

/// Parses the first bytes of a stream, at least one, as a header of version 1 or 2. Strict: what
/// the specification does not allow is Invalid, and is so as early as can be. TLVs are not looked
/// at.
ProxyHeader parse_proxy_header(std::span<const std::byte> data);

}  // namespace nsrelay
