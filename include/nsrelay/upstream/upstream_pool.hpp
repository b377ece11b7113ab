#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/net/udp_options.hpp"
#include "nsrelay/netns/netns_registry.hpp"
#include "nsrelay/upstream/resolver.hpp"
#include "nsrelay/upstream/source_pool.hpp"

namespace nsrelay {

/// Where the connections of one rule go: its targets, whose turn it is, and how to connect to
/// them. Shared by all listeners of the rule; a rule with `{netns}` in a target has one pool for
/// each namespace.
class UpstreamPool {
 public:
  /// `netns` is where to connect from and to ask for names; `loop` is borrowed.
  /// `listener_netns` replaces `{netns}` in the targets.
  UpstreamPool(EventLoop& loop, const ForwardRule& rule, NetnsRef netns,
               std::string_view listener_netns);

  [[nodiscard]] const std::vector<TargetSpec>& targets() const { return targets_; }

  /// The index of the target that the next connection tries first.
  std::size_t take_turn() { return turn_++ % targets_.size(); }

  [[nodiscard]] const NetnsEntry& netns() const { return *netns_; }
  Resolver& resolver() { return resolver_; }
  SourcePool& sources() { return sources_; }
  [[nodiscard]] Protocol protocol() const { return protocol_; }
  [[nodiscard]] const TcpOptions& tcp_options() const { return tcp_options_; }
  [[nodiscard]] const UdpOptions& udp_options() const { return udp_options_; }
  [[nodiscard]] Duration connect_timeout() const { return connect_timeout_; }
  [[nodiscard]] const std::string& bind_device() const { return bind_device_; }

 private:
  std::vector<TargetSpec> targets_;
  NetnsRef netns_;
  Resolver resolver_;
  SourcePool sources_;
  Protocol protocol_;
  TcpOptions tcp_options_;
  UdpOptions udp_options_;
  Duration connect_timeout_;
  std::string bind_device_;
  std::size_t turn_ = 0;
};

/// What a rule asks of the TCP sockets on either side.
TcpOptions tcp_options_of(const ForwardRule& rule);

/// What a rule asks of the UDP sockets on either side.
UdpOptions udp_options_of(const ForwardRule& rule);

}  // namespace nsrelay
