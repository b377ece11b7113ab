#pragma once

#include <netinet/in.h>

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "nsrelay/base/result.hpp"

namespace nsrelay {

/// An IPv4 or IPv6 address without a port. A plain value.
class IpAddress {
 public:
  /// 0.0.0.0
  IpAddress() = default;
  explicit IpAddress(const in_addr& v4);

  /// An IPv4-mapped address (::ffff:a.b.c.d, RFC 4291 2.5.5.2) becomes the IPv4 one, because that
  /// is what a client of a dual-stack socket is.
  explicit IpAddress(const in6_addr& v6);

  /// Reads `10.0.0.1` or `2001:db8::1` (no brackets, no zone). The error names the allowed forms.
  static Result<IpAddress> parse(std::string_view text);
  static IpAddress any_v4() { return {}; }
  static IpAddress any_v6() { return IpAddress(in6addr_any); }

  [[nodiscard]] bool is_v6() const { return v6_; }
  [[nodiscard]] bool is_any() const;
  /// fe80::/10, which needs an interface (zone) to be reached.
  [[nodiscard]] bool is_link_local_v6() const;
  [[nodiscard]] in_addr v4() const;
  [[nodiscard]] in6_addr v6() const;
  [[nodiscard]] std::string to_string() const;

  /// The address with nothing but its first `prefix_length` bits.
  [[nodiscard]] IpAddress network(int prefix_length) const;

  /// The address bytes in network order, in the first 4 or 16 places.
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  bool v6_ = false;
};

/// A set of addresses that share their first bits: `10.0.0.0/8`, `2001:db8::/32`, or one address.
class IpNetwork {
 public:
  IpNetwork() = default;

  /// Reads `ADDRESS` or `ADDRESS/BITS`. Bits set behind the prefix are an error (`10.0.0.1/8`
  /// is more often a slip than meant); the error gives the network that was probably meant.
  static Result<IpNetwork> parse(std::string_view text);

  [[nodiscard]] bool contains(const IpAddress& address) const;
  [[nodiscard]] const IpAddress& address() const { return address_; }
  [[nodiscard]] int prefix_length() const { return prefix_length_; }
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const IpNetwork&, const IpNetwork&) = default;

 private:
  IpAddress address_;
  int prefix_length_ = 0;
};

}  // namespace nsrelay
