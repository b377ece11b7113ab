#include "nsrelay/relay/listener_factory.hpp"

#include "nsrelay/net/sctp_socket.hpp"
#include "nsrelay/relay/inherited_socket.hpp"
#include "nsrelay/relay/listening_socket.hpp"
#include "nsrelay/relay/sctp_listener.hpp"
#include "nsrelay/relay/tcp_listener.hpp"
#include "nsrelay/relay/udp_listener.hpp"

namespace nsrelay {
namespace {

template <class Made>
Result<std::unique_ptr<Listener>> as_listener(Result<std::unique_ptr<Made>> made) {
  if (!made)
    return std::move(made).error();
  return std::unique_ptr<Listener>(*std::move(made));
}

Result<UniqueFd> socket_for(const ForwardRule& rule, const ListenerPlace& place,
                            UniqueFd inherited) {
  if (!inherited)
    return open_listening_socket(rule, place.listen, place.port, place.netns);
  if (auto prepared = prepare_inherited_socket(inherited.get(), rule); !prepared)
    return std::move(prepared).error();
  return inherited;
}

/// What still answers through the port that a UDP listener is to have.
std::shared_ptr<UdpDownstream> find_draining(RelayContext& context, const ForwardRule& rule,
                                             const ListenerInfo& info, const ListenerPlace& place) {
  return context.draining_ports().take(info, [&](int socket) {
    return is_on_its_interfaces(socket, rule, place.listen, place.port, place.netns);
  });
}

}  // namespace

Result<std::unique_ptr<Listener>> open_listener(RelayContext& context, RuleRuntime& runtime,
                                                std::shared_ptr<UpstreamPool> pool,
                                                std::shared_ptr<const ListenerInfo> info,
                                                const ListenerPlace& place, UniqueFd inherited) {
  const Protocol protocol = runtime.rule().protocol;
  if (protocol == Protocol::Sctp)
    if (const Error* missing = context.why_no_sctp(place.netns.cookie()))
      return *missing;
  if (protocol == Protocol::Udp && !inherited)
    if (auto draining = find_draining(context, runtime.rule(), *info, place))
      return as_listener<UdpListener>(
          UdpListener::resume(std::move(draining), runtime, std::move(pool), std::move(info)));
  auto socket = socket_for(runtime.rule(), place, std::move(inherited));
  if (!socket) {
    if (protocol == Protocol::Sctp && is_sctp_missing(socket.error().number()))
      context.note_no_sctp(place.netns.cookie(), socket.error());
    return std::move(socket).error();
  }
  switch (protocol) {
    case Protocol::Udp:
      return as_listener(UdpListener::create(context, runtime, std::move(pool), std::move(info),
                                             *std::move(socket)));
    case Protocol::Sctp:
      return as_listener(SctpListener::create(context, runtime, std::move(pool), std::move(info),
                                              *std::move(socket)));
    case Protocol::Tcp:
      break;
  }
  return as_listener(
      TcpListener::create(context, runtime, std::move(pool), std::move(info), *std::move(socket)));
}

}  // namespace nsrelay
