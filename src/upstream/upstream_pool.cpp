#include "nsrelay/upstream/upstream_pool.hpp"

#include "nsrelay/upstream/target.hpp"

namespace nsrelay {

UpstreamPool::UpstreamPool(EventLoop& loop, const ForwardRule& rule, NetnsRef netns,
                           std::string_view listener_netns)
    : targets_(rule.upstream.targets),
      netns_(std::move(netns)),
      resolver_(loop, netns_),
      sources_(rule.upstream.source),
      protocol_(rule.protocol),
      tcp_options_(tcp_options_of(rule)),
      udp_options_(udp_options_of(rule)),
      connect_timeout_(rule.upstream.connect_timeout),
      bind_device_(rule.upstream.bind_device) {
  for (TargetSpec& target : targets_) {
    target.host = expand_netns(target.host, listener_netns);
    target.path = expand_netns(target.path, listener_netns);
  }
}

TcpOptions tcp_options_of(const ForwardRule& rule) {
  TcpOptions options;
  options.nodelay = rule.nodelay;
  options.keepalive = rule.keepalive;
  options.user_timeout = rule.user_timeout;
  options.congestion = rule.congestion;
  options.receive_buffer = rule.receive_buffer;
  options.send_buffer = rule.send_buffer;
  return options;
}

UdpOptions udp_options_of(const ForwardRule& rule) {
  return {rule.receive_buffer, rule.send_buffer};
}

}  // namespace nsrelay
