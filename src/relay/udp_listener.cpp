#include "nsrelay/relay/udp_listener.hpp"

namespace nsrelay {

Result<std::unique_ptr<UdpListener>> UdpListener::create(RelayContext& context,
                                                         RuleRuntime& runtime,
                                                         std::shared_ptr<UpstreamPool> pool,
                                                         std::shared_ptr<const ListenerInfo> info,
                                                         UniqueFd socket) {
  std::unique_ptr<UdpListener> listener(new UdpListener(std::move(info)));
  auto downstream =
      UdpDownstream::create(context, runtime, std::move(pool), *listener, std::move(socket));
  if (!downstream)
    return std::move(downstream).error();
  listener->downstream_ = *std::move(downstream);
  return listener;
}

std::unique_ptr<UdpListener> UdpListener::resume(std::shared_ptr<UdpDownstream> downstream,
                                                 RuleRuntime& runtime,
                                                 std::shared_ptr<UpstreamPool> pool,
                                                 std::shared_ptr<const ListenerInfo> info) {
  std::unique_ptr<UdpListener> listener(new UdpListener(std::move(info)));
  downstream->resume(*listener, runtime, std::move(pool));
  listener->downstream_ = std::move(downstream);
  return listener;
}

/// A second socket on the port would take a share of the datagrams of sessions that go on, so this
/// one stays whatever has changed.
bool UdpListener::adopt(RuleRuntime& runtime, std::shared_ptr<UpstreamPool> pool) {
  downstream_->adopt(runtime, std::move(pool));
  return true;
}

UdpListener::~UdpListener() {
  if (downstream_)
    downstream_->drain();
}

}  // namespace nsrelay
