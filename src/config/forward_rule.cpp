#include "nsrelay/config/forward_rule.hpp"

#include <algorithm>

namespace nsrelay {
namespace {

bool contains(const std::vector<IpNetwork>& networks, const IpAddress& address) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const IpNetwork& network) { return network.contains(address); });
}

}  // namespace

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::Tcp:
      return "tcp";
    case Protocol::Udp:
      return "udp";
    case Protocol::Sctp:
      return "sctp";
  }
  return "";
}

bool admits(const ForwardRule& rule, const IpAddress& client) {
  if (contains(rule.deny, client))
    return false;
  return rule.allow.empty() || contains(rule.allow, client);
}

}  // namespace nsrelay
