#include "endpoint.hpp"

#include <algorithm>
#include <charconv>
#include <string>

#include "fault_list.hpp"
#include "names.hpp"

namespace nsrelay {
namespace {

constexpr int kLargestPort = 65535;

Result<std::uint16_t> parse_port(std::string_view text) {
  const bool all_digits =
      !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  if (!all_digits)
    return Error(in_quotes(text) + " is not a port; allowed: 1 to 65535 or FIRST-LAST");
  int port = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || port < 1 || port > kLargestPort)
    return Error("port " + std::string(text.substr(0, 20)) +
                 " is out of range; allowed: 1 to 65535");
  return static_cast<std::uint16_t>(port);
}

Result<PortRange> parse_ports(std::string_view text) {
  const std::size_t dash = text.find('-');
  auto first = parse_port(text.substr(0, dash));
  if (!first)
    return std::move(first).error();
  if (dash == std::string_view::npos)
    return PortRange{*first, *first};
  auto last = parse_port(text.substr(dash + 1));
  if (!last)
    return std::move(last).error();
  if (*first > *last)
    return Error("the port range runs backwards; expected FIRST-LAST");
  return PortRange{*first, *last};
}

Error missing_port() {
  return Error("a port is missing; expected ADDRESS:PORT, [V6]:PORT or ADDRESS:FIRST-LAST");
}

/// An address in brackets: IPv6, with its interface behind '%'.
Result<ZonedAddress> parse_bracketed(std::string_view inside) {
  const std::size_t percent = inside.find('%');
  const std::string_view text = inside.substr(0, percent);
  auto address = IpAddress::parse(text);
  if (!address || text.find(':') == std::string_view::npos)
    return Error("expected an IPv6 address in the brackets, for example [2001:db8::1]");
  if (percent == std::string_view::npos)
    return ZonedAddress{*address, ""};
  if (!address->is_link_local_v6())
    return Error("only a link-local address (fe80::/10) has an interface behind '%'");
  auto zone = parse_interface_name(inside.substr(percent + 1));
  if (!zone)
    return std::move(zone).error();
  return ZonedAddress{*address, *zone};
}

}  // namespace

Result<Endpoint> split_endpoint(std::string_view text) {
  if (text.find("://") != std::string_view::npos)
    return Error("a URL is no address; expected ADDRESS:PORT");
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.ends_with(']'))
    return missing_port();
  const std::string_view hosts = text.substr(0, colon);
  if (hosts.empty())
    return Error("an address is missing; expected ADDRESS:PORT, [V6]:PORT or ADDRESS:FIRST-LAST");
  if (hosts.find(':') != std::string_view::npos && hosts.find('[') == std::string_view::npos)
    return Error("an IPv6 address needs brackets, for example [2001:db8::1]:80");
  auto ports = parse_ports(text.substr(colon + 1));
  if (!ports)
    return std::move(ports).error();
  return Endpoint{hosts, *ports};
}

Result<ZonedAddress> parse_host_address(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']'))
    return parse_bracketed(text.substr(1, text.size() - 2));
  auto address = IpAddress::parse(text);
  if (!address)
    return Error(in_quotes(text) +
                 " is not an IP address; expected for example 10.0.0.1 or "
                 "[2001:db8::1]");
  return ZonedAddress{*address, ""};
}

Result<std::vector<ZonedAddress>> parse_addresses(std::string_view hosts) {
  std::vector<ZonedAddress> addresses;
  for (std::size_t plus = 0; plus != std::string_view::npos;) {
    plus = hosts.find('+');
    auto address = parse_host_address(hosts.substr(0, plus));
    if (!address)
      return std::move(address).error();
    if (std::find(addresses.begin(), addresses.end(), *address) != addresses.end())
      return Error("the address " + address->address.to_string() + " is listed twice");
    if (!addresses.empty() && addresses.front().address.is_v6() != address->address.is_v6())
      return Error("the addresses of one endpoint must be of one family");
    addresses.push_back(*std::move(address));
    hosts.remove_prefix(plus == std::string_view::npos ? 0 : plus + 1);
  }
  return addresses;
}

}  // namespace nsrelay
