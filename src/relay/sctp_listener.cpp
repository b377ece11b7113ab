#include "nsrelay/relay/sctp_listener.hpp"

#include "nsrelay/relay/listening_socket.hpp"
#include "nsrelay/relay/sctp_association.hpp"

namespace nsrelay {

Result<std::unique_ptr<SctpListener>> SctpListener::create(RelayContext& context,
                                                           RuleRuntime& runtime,
                                                           std::shared_ptr<UpstreamPool> pool,
                                                           std::shared_ptr<const ListenerInfo> info,
                                                           UniqueFd socket) {
  std::unique_ptr<SctpListener> listener(
      new SctpListener(context, runtime, std::move(pool), std::move(info), std::move(socket)));
  if (auto started = listener->start(); !started)
    return std::move(started).error();
  return listener;
}

Forwarded& SctpListener::serve(AcceptedClient client) {
  return begin<SctpAssociation>(std::move(client));
}

bool SctpListener::retune(int fd, const ForwardRule& before, const ForwardRule& after) {
  return retune_sctp_listening_socket(fd, before, after);
}

}  // namespace nsrelay
