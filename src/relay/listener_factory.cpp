#include "nsrelay/relay/listener_factory.hpp"

#include "nsrelay/relay/inherited_socket.hpp"
#include "nsrelay/relay/listening_socket.hpp"
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

}  // namespace

Result<std::unique_ptr<Listener>> open_listener(RelayContext& context, RuleRuntime& runtime,
                                                std::shared_ptr<UpstreamPool> pool,
                                                std::shared_ptr<const ListenerInfo> info,
                                                const ListenerPlace& place, UniqueFd inherited) {
  auto socket = socket_for(runtime.rule(), place, std::move(inherited));
  if (!socket)
    return std::move(socket).error();
  if (runtime.rule().protocol == Protocol::Udp)
    return as_listener(UdpListener::create(context, runtime, std::move(pool), std::move(info),
                                           *std::move(socket)));
  return as_listener(
      TcpListener::create(context, runtime, std::move(pool), std::move(info), *std::move(socket)));
}

}  // namespace nsrelay
