#include "nsrelay/upstream/target.hpp"

#include <algorithm>

#include "nsrelay/netns/netns_scope.hpp"

namespace nsrelay {
namespace {

constexpr std::string_view kPlaceholder = "{netns}";

}  // namespace

std::string expand_netns(std::string_view text, std::string_view netns) {
  std::string expanded(text);
  for (std::size_t at = expanded.find(kPlaceholder); at != std::string::npos;
       at = expanded.find(kPlaceholder, at + netns.size()))
    expanded.replace(at, kPlaceholder.size(), netns);
  return expanded;
}

bool depends_on_netns(const UpstreamConfig& upstream) {
  return std::any_of(upstream.targets.begin(), upstream.targets.end(), [](const TargetSpec& one) {
    return one.text.find(kPlaceholder) != std::string::npos;
  });
}

std::uint16_t port_of(const TargetSpec& target, std::uint16_t port_offset) {
  const bool is_range = target.ports.first != target.ports.last;
  return static_cast<std::uint16_t>(target.ports.first + (is_range ? port_offset : 0));
}

Result<SocketAddress> socket_address_in(const Netns& netns, const ZonedAddress& address,
                                        std::uint16_t port) {
  std::uint32_t scope = 0;
  if (!address.zone.empty()) {
    auto index = interface_index_in(netns, address.zone);
    if (!index)
      return std::move(index).error();
    scope = *index;
  }
  return SocketAddress(IpEndpoint{address.address, port}, scope);
}

std::string describe(const std::vector<ZonedAddress>& addresses, std::uint16_t port) {
  std::string text;
  for (const ZonedAddress& one : addresses) {
    if (!text.empty())
      text += '+';
    const std::string zone = one.zone.empty() ? std::string() : "%" + one.zone;
    const std::string address = one.address.to_string() + zone;
    text += one.address.is_v6() ? "[" + address + "]" : address;
  }
  return text + ":" + std::to_string(port);
}

std::string describe(const TargetSpec& target, std::uint16_t port_offset) {
  switch (target.kind) {
    case TargetSpec::Kind::UnixPath:
      return "unix:" + target.path;
    case TargetSpec::Kind::HostName:
      return target.host + ":" + std::to_string(port_of(target, port_offset));
    case TargetSpec::Kind::Address:
      break;
  }
  return describe(target.addresses, port_of(target, port_offset));
}

}  // namespace nsrelay
