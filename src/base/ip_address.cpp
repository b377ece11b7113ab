#include "nsrelay/base/ip_address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace nsrelay {
namespace {

int width_of(const IpAddress& address) {
  return address.is_v6() ? 128 : 32;
}

/// The address with every bit behind `prefix_length` cleared.
IpAddress masked(const IpAddress& address, int prefix_length) {
  std::array<std::uint8_t, 16> bytes = address.bytes();
  for (int position = prefix_length; position < width_of(address); ++position)
    bytes[static_cast<std::size_t>(position / 8)] &=
        static_cast<std::uint8_t>(~(1U << (7 - position % 8)));
  if (address.is_v6()) {
    in6_addr raw;
    std::memcpy(&raw, bytes.data(), sizeof raw);
    return IpAddress(raw);
  }
  in_addr raw;
  std::memcpy(&raw, bytes.data(), sizeof raw);
  return IpAddress(raw);
}

}  // namespace

IpAddress::IpAddress(const in_addr& v4) {
  std::memcpy(bytes_.data(), &v4, sizeof v4);
}

IpAddress::IpAddress(const in6_addr& v6) : v6_(!IN6_IS_ADDR_V4MAPPED(&v6)) {
  if (v6_)
    std::memcpy(bytes_.data(), &v6, sizeof v6);
  else
    std::memcpy(bytes_.data(), &v6.s6_addr[12], sizeof(in_addr));
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string copy(text);
  if (copy.find('\0') != std::string::npos)
    return Error("not an IP address: it contains a NUL byte");
  in_addr v4;
  if (::inet_pton(AF_INET, copy.c_str(), &v4) == 1)
    return IpAddress(v4);
  in6_addr v6;
  if (::inet_pton(AF_INET6, copy.c_str(), &v6) == 1)
    return IpAddress(v6);
  return Error("not an IP address; expected for example 10.0.0.1 or 2001:db8::1");
}

bool IpAddress::is_any() const {
  return std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t byte) { return byte == 0; });
}

bool IpAddress::is_link_local_v6() const {
  return v6_ && bytes_[0] == 0xfe && (bytes_[1] & 0xc0U) == 0x80;
}

in_addr IpAddress::v4() const {
  in_addr raw;
  std::memcpy(&raw, bytes_.data(), sizeof raw);
  return raw;
}

in6_addr IpAddress::v6() const {
  in6_addr raw;
  std::memcpy(&raw, bytes_.data(), sizeof raw);
  return raw;
}

std::string IpAddress::to_string() const {
  if (v6_) {
    char text[INET6_ADDRSTRLEN];
    ::inet_ntop(AF_INET6, bytes_.data(), text, sizeof text);
    return text;
  }
  // Not by inet_ntop(3), which takes printf(3): every record of a connection has three of these.
  std::string text = std::to_string(bytes_[0]);
  for (std::size_t i = 1; i < sizeof(in_addr); ++i) {
    text += '.';
    text += std::to_string(bytes_[i]);
  }
  return text;
}

IpAddress IpAddress::network(int prefix_length) const {
  IpAddress network = *this;
  const int bits = v6_ ? 128 : 32;
  for (int bit = prefix_length; bit < bits; ++bit)
    network.bytes_[static_cast<std::size_t>(bit / 8)] &=
        static_cast<std::uint8_t>(~(0x80U >> static_cast<unsigned>(bit % 8)));
  return network;
}

Result<IpNetwork> IpNetwork::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  auto address = IpAddress::parse(text.substr(0, slash));
  if (!address)
    return Error("not a network; expected for example 10.0.0.0/8, 2001:db8::/32 or one address");
  IpNetwork network;
  network.address_ = *address;
  network.prefix_length_ = width_of(*address);
  if (slash == std::string_view::npos)
    return network;
  const std::string_view bits = text.substr(slash + 1);
  const auto [rest, error] =
      std::from_chars(bits.data(), bits.data() + bits.size(), network.prefix_length_);
  if (error != std::errc() || rest != bits.data() + bits.size() || network.prefix_length_ < 0 ||
      network.prefix_length_ > width_of(*address))
    return Error("prefix length out of range; allowed: 0 to " + std::to_string(width_of(*address)));
  network.address_ = masked(*address, network.prefix_length_);
  if (network.address_ != *address)
    return Error("address bits behind the prefix; did you mean " + network.to_string() + "?");
  return network;
}

bool IpNetwork::contains(const IpAddress& address) const {
  if (address.is_v6() != address_.is_v6())
    return false;
  const auto whole = static_cast<std::size_t>(prefix_length_ / 8);
  if (!std::equal(address_.bytes().begin(), address_.bytes().begin() + whole,
                  address.bytes().begin()))
    return false;
  const int rest = prefix_length_ % 8;
  return rest == 0 || ((address.bytes()[whole] ^ address_.bytes()[whole]) >> (8 - rest)) == 0;
}

std::string IpNetwork::to_string() const {
  return address_.to_string() + "/" + std::to_string(prefix_length_);
}

}  // namespace nsrelay
