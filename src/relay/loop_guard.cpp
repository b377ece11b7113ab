#include "nsrelay/relay/loop_guard.hpp"

#include <compare>
#include <cstdint>
#include <map>
#include <utility>

namespace nsrelay {
namespace {

/// Where a socket is bound.
struct Place {
  std::uint64_t cookie;
  IpAddress ip;
  std::uint16_t port;

  friend auto operator<=>(const Place&, const Place&) = default;
};

Place place_of(std::uint64_t cookie, const IpEndpoint& endpoint) {
  return {cookie, endpoint.ip, endpoint.port};
}

bool is_same(const ListenerInfo& one, const ListenerInfo& other) {
  return one.cookie == other.cookie && one.address == other.address;
}

}  // namespace

std::optional<std::string> LoopGuard::break_loop(const ListenerInfo& listener,
                                                 const IpEndpoint& client) {
  const std::vector<Forwarded*> loop = find_loop(listener, client);
  if (loop.empty()) {
    next_look_ = 2 * connections_.size();
    return std::nullopt;
  }
  std::string from = loop.front()->runtime().rule().name;
  for (Forwarded* one : loop)
    one->end(Reason::ForwardingLoop);
  return from;
}

/// The connections on the way back from `client`, the last one first; none where it is no circle.
std::vector<Forwarded*> LoopGuard::find_loop(const ListenerInfo& listener,
                                             const IpEndpoint& client) {
  std::map<Place, Forwarded*> by_upstream_place;
  connections_.for_each([&](Forwarded& one) {
    if (const auto endpoint = one.upstream_local())
      by_upstream_place.emplace(place_of(one.upstream_cookie(), *endpoint), &one);
  });
  std::vector<Forwarded*> way;
  int returns = 0;
  Place place = place_of(listener.cookie, client);
  for (auto from = by_upstream_place.find(place); from != by_upstream_place.end();
       from = by_upstream_place.find(place)) {
    Forwarded& one = *from->second;
    way.push_back(&one);
    by_upstream_place.erase(from);  // each is passed once
    returns += is_same(one.listener(), listener) ? 1 : 0;
    place = place_of(one.listener().cookie, one.peer());
  }
  return returns >= kMostReturns ? way : std::vector<Forwarded*>();
}

}  // namespace nsrelay
