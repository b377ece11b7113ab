#include "nsrelay/relay/client_origin.hpp"

#include <algorithm>

namespace nsrelay {
namespace {

bool is_loopback(const IpAddress& ip) {
  return ip.is_v6() ? ip == IpAddress(in6addr_loopback) : ip.bytes()[0] == 127;
}

bool contains(const std::vector<IpEndpoint>& ends, const IpEndpoint& wanted) {
  return std::find(ends.begin(), ends.end(), wanted) != ends.end();
}

}  // namespace

Place place_of(Protocol protocol, const IpEndpoint& end) {
  return {protocol, protocol == Protocol::Sctp ? IpAddress() : end.ip, end.port};
}

Proof needed_proof(Protocol protocol, const Appearance& upstream, const Appearance& client,
                   const IpAddress& client_address) {
  if (upstream.netns == client.netns) {
    if (protocol == Protocol::Udp)
      return Proof::None;
    return protocol == Protocol::Sctp ? Proof::Address : Proof::BothEnds;
  }
  const bool in_time =
      upstream.began <= client.began && client.began <= upstream.began + kLongestHop;
  return in_time && !is_loopback(client_address) ? Proof::BothEnds : Proof::Impossible;
}

bool is_proved(Proof needed, const SocketEnds& upstream, const IpEndpoint& client,
               const std::vector<IpEndpoint>& local) {
  if (needed == Proof::Impossible || needed == Proof::None)
    return needed == Proof::None;
  if (!contains(upstream.local, client))
    return false;
  return needed == Proof::Address ||
         std::any_of(local.begin(), local.end(),
                     [&](const IpEndpoint& end) { return contains(upstream.remote, end); });
}

}  // namespace nsrelay
