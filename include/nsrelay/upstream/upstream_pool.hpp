#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/net/sctp_socket.hpp"
#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/net/udp_options.hpp"
#include "nsrelay/netns/netns_registry.hpp"
#include "nsrelay/upstream/balancer.hpp"
#include "nsrelay/upstream/health_checker.hpp"
#include "nsrelay/upstream/resolver.hpp"
#include "nsrelay/upstream/socket_stock.hpp"
#include "nsrelay/upstream/source_pool.hpp"
#include "nsrelay/upstream/target_lease.hpp"

namespace nsrelay {

/// Where the connections of one rule go: its targets, which of them is next, and how to connect to
/// them. Shared by all listeners of the rule; a rule with `{netns}` in a target has one pool for
/// each namespace.
class UpstreamPool {
 public:
  /// A target has gone out, or has come back: its health says which.
  using OnChange = Delegate<void(const TargetState&)>;

  /// `netns` is where to connect from and to ask for names; `loop` is borrowed.
  /// `listener_netns` replaces `{netns}` in the targets.
  UpstreamPool(EventLoop& loop, const ForwardRule& rule, NetnsRef netns,
               std::string_view listener_netns, OnChange on_change = {});
  ~UpstreamPool();
  UpstreamPool(const UpstreamPool&) = delete;
  UpstreamPool& operator=(const UpstreamPool&) = delete;

  /// For status and metrics.
  [[nodiscard]] std::span<const TargetState> targets() const { return targets_; }

  /// The target that a connection of `client` tries next; nothing when it has tried all.
  std::optional<TargetLease> take_target(const TriedTargets& tried, const IpAddress& client);

  /// The target at that place, for a probe.
  TargetLease take_target_at(std::size_t index) { return {targets_[index], loop_.now()}; }

  /// Lets go of a namespace that is gone and that only questions and probes still use.
  void leave_gone_netns();

  /// No connection comes any more: those that run need no probes.
  void stop_probing() { health_checker_.reset(); }

  /// Adds `target` to what a connection has tried.
  void add_tried(TriedTargets& tried, const TargetState& target) const;

  /// For leases.
  void report_change(const TargetState& target) const;

  [[nodiscard]] const std::string& rule_name() const { return rule_name_; }
  [[nodiscard]] Balance balance() const { return balance_; }

  [[nodiscard]] const NetnsEntry& netns() const { return *netns_; }
  Resolver& resolver() { return resolver_; }
  /// Where sockets of netns() come from.
  SocketStock& sockets() { return sockets_; }
  SourcePool& sources() { return sources_; }
  [[nodiscard]] const SourcePool& sources() const { return sources_; }
  [[nodiscard]] Protocol protocol() const { return protocol_; }
  [[nodiscard]] const TcpOptions& tcp_options() const { return tcp_options_; }
  [[nodiscard]] const UdpOptions& udp_options() const { return udp_options_; }
  [[nodiscard]] const SctpOptions& sctp_options() const { return sctp_options_; }
  [[nodiscard]] ProxyProtocol proxy_protocol() const { return proxy_protocol_; }
  [[nodiscard]] Duration connect_timeout() const { return connect_timeout_; }
  [[nodiscard]] const std::string& bind_device() const { return bind_device_; }

 private:
  EventLoop& loop_;
  std::string rule_name_;
  Balance balance_;
  OnChange on_change_;
  std::vector<TargetState> targets_;
  NetnsRef netns_;
  Resolver resolver_;
  SourcePool sources_;
  Protocol protocol_;
  SocketStock sockets_;
  TcpOptions tcp_options_;
  UdpOptions udp_options_;
  SctpOptions sctp_options_;
  ProxyProtocol proxy_protocol_;
  Duration connect_timeout_;
  std::string bind_device_;
  std::unique_ptr<HealthChecker> health_checker_;  ///< where the rule probes its targets
};

/// What a rule asks of the TCP sockets on either side.
TcpOptions tcp_options_of(const ForwardRule& rule);

/// What a rule asks of the UDP sockets on either side.
UdpOptions udp_options_of(const ForwardRule& rule);

/// What a rule asks of the SCTP sockets on either side.
SctpOptions sctp_options_of(const ForwardRule& rule);

}  // namespace nsrelay
