#include "nsrelay/relay/tcp_listener.hpp"

#include "nsrelay/relay/listening_socket.hpp"
#include "nsrelay/relay/tcp_connection.hpp"

namespace nsrelay {

Result<std::unique_ptr<TcpListener>> TcpListener::create(RelayContext& context,
                                                         RuleRuntime& runtime,
                                                         std::shared_ptr<UpstreamPool> pool,
                                                         std::shared_ptr<const ListenerInfo> info,
                                                         UniqueFd socket) {
  std::unique_ptr<TcpListener> listener(
      new TcpListener(context, runtime, std::move(pool), std::move(info), std::move(socket)));
  if (auto started = listener->start(); !started)
    return std::move(started).error();
  return listener;
}

Forwarded& TcpListener::serve(AcceptedClient client) {
  return begin<TcpConnection>(std::move(client));
}

bool TcpListener::retune(int fd, const ForwardRule& before, const ForwardRule& after) {
  return retune_tcp_listening_socket(fd, before, after);
}

}  // namespace nsrelay
