#include "nsrelay/netns/local_ports.hpp"

#include <fstream>

#include "nsrelay/netns/netns_scope.hpp"

namespace nsrelay {

std::optional<std::uint32_t> count_local_ports(const Netns& netns) {
  const auto scope = NetnsScope::enter(netns);  // the file shows the reader's own namespace
  if (!scope)
    return std::nullopt;
  std::ifstream file("/proc/sys/net/ipv4/ip_local_port_range");
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  if (!(file >> first >> last) || last < first)
    return std::nullopt;
  return last - first + 1;
}

}  // namespace nsrelay
