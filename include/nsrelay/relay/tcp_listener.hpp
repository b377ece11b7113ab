#pragma once

#include <memory>

#include "nsrelay/relay/accepting_listener.hpp"

namespace nsrelay {

/// Makes TCP connections of the clients of one listening socket.
class TcpListener final : public AcceptingListener {
 public:
  /// Takes a listening socket and starts. Borrows the rest.
  static Result<std::unique_ptr<TcpListener>> create(RelayContext& context, RuleRuntime& runtime,
                                                     std::shared_ptr<UpstreamPool> pool,
                                                     std::shared_ptr<const ListenerInfo> info,
                                                     UniqueFd socket);

 private:
  using AcceptingListener::AcceptingListener;

  Forwarded& serve(AcceptedClient client) override;
  bool retune(int fd, const ForwardRule& before, const ForwardRule& after) override;
};

}  // namespace nsrelay
