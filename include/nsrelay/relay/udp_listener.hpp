#pragma once

#include <memory>

#include "nsrelay/relay/listener.hpp"
#include "nsrelay/relay/udp_downstream.hpp"

namespace nsrelay {

/// A UDP port that new clients are served at. When it goes its socket stays for as long as
/// sessions answer through it.
class UdpListener final : public Listener {
 public:
  /// Takes a bound socket and starts. Borrows the rest.
  static Result<std::unique_ptr<UdpListener>> create(RelayContext& context, RuleRuntime& runtime,
                                                     std::shared_ptr<UpstreamPool> pool,
                                                     std::shared_ptr<const ListenerInfo> info,
                                                     UniqueFd socket);
  /// Goes on where a former listener of the same port had ended, with its socket and sessions.
  static std::unique_ptr<UdpListener> resume(std::shared_ptr<UdpDownstream> downstream,
                                             RuleRuntime& runtime,
                                             std::shared_ptr<UpstreamPool> pool,
                                             std::shared_ptr<const ListenerInfo> info);
  ~UdpListener() override;

  void serve_backlog() override { downstream_->receive_waiting(); }
  [[nodiscard]] int descriptor() const override { return downstream_->descriptor(); }
  void hand_over() override { downstream_->stop_receiving(); }
  bool adopt(RuleRuntime& runtime, std::shared_ptr<UpstreamPool> pool) override;

 private:
  using Listener::Listener;

  std::shared_ptr<UdpDownstream> downstream_;
};

}  // namespace nsrelay
