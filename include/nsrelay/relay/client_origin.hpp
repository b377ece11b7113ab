#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/net/socket_ends.hpp"
#include "nsrelay/relay/listener.hpp"

// Whether a client is one of our own upstream sockets.

namespace nsrelay {

class RuleRuntime;

/// A client that a listener is about to serve, as the kernel sees it.
struct Newcomer {
  const ListenerInfo& listener;
  const RuleRuntime& runtime;
  IpEndpoint peer;
  std::vector<IpEndpoint> local;  ///< the addresses that it may have connected to
};

/// What an upstream socket is found by. All addresses of an SCTP socket share one port.
struct Place {
  Protocol protocol;
  IpAddress ip;
  std::uint16_t port;

  friend auto operator<=>(const Place&, const Place&) = default;
};

Place place_of(Protocol protocol, const IpEndpoint& end);

/// A client, or an upstream socket: in which namespace, and when its connection has begun.
struct Appearance {
  std::uint64_t netns = 0;
  TimePoint began;
};

/// What has to agree between an upstream socket and a client that is found at its Place, so that
/// they are the two ends of one connection.
enum class Proof : std::uint8_t {
  Impossible,  ///< they are not
  None,        ///< they are
  Address,     ///< the client's end, of all that the upstream socket has
  BothEnds,
};

/// How often one may come to a listener by way of ourselves: beyond that it goes in a circle.
inline constexpr std::size_t kMostReturns = 8;

/// How long after a connection has begun its upstream is accepted, where both are ours.
inline constexpr Duration kLongestHop{10'000};

/// In one namespace UDP and SCTP sockets share no port; connect(2) gives one TCP port to many.
/// Across namespaces addresses are not unique: the client must have come shortly after the
/// connection whose upstream it is, and those of the loopback say nothing.
Proof needed_proof(Protocol protocol, const Appearance& upstream, const Appearance& client,
                   const IpAddress& client_address);

/// Whether the ends of an upstream socket are those of a client, as far as `needed`. `local` are
/// the addresses that the client may have connected to.
bool is_proved(Proof needed, const SocketEnds& upstream, const IpEndpoint& client,
               const std::vector<IpEndpoint>& local);

}  // namespace nsrelay
