#include "nsrelay/upstream/upstream_pool.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include "nsrelay/base/hash.hpp"
#include "nsrelay/upstream/target.hpp"

namespace nsrelay {

UpstreamPool::UpstreamPool(EventLoop& loop, const ForwardRule& rule, NetnsRef netns,
                           std::string_view listener_netns, OnChange on_change)
    : loop_(loop),
      rule_name_(rule.name),
      balance_(rule.upstream.balance),
      on_change_(on_change),
      targets_(rule.upstream.targets.size()),
      netns_(std::move(netns)),
      resolver_(loop, netns_),
      sources_(rule.upstream.source),
      protocol_(rule.protocol),
      sockets_(loop, rule.protocol == Protocol::Udp ? SOCK_DGRAM : SOCK_STREAM,
               rule.protocol == Protocol::Sctp ? IPPROTO_SCTP : 0),
      tcp_options_(tcp_options_of(rule)),
      udp_options_(udp_options_of(rule)),
      sctp_options_(sctp_options_of(rule)),
      proxy_protocol_(rule.upstream.proxy_protocol),
      connect_timeout_(rule.upstream.connect_timeout),
      bind_device_(rule.upstream.bind_device) {
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    TargetState& target = targets_[i];
    target.spec = rule.upstream.targets[i];
    target.spec.host = expand_netns(target.spec.host, listener_netns);
    target.spec.path = expand_netns(target.spec.path, listener_netns);
    target.text = expand_netns(target.spec.text, listener_netns);
    target.pool = this;
    target.hash = mix(0, target.text);
    target.health = TargetHealth(rule.upstream.health.interval.has_value());
  }
  if (rule.upstream.health.interval)
    health_checker_ = std::make_unique<HealthChecker>(loop, *this, rule.upstream.health);
}

UpstreamPool::~UpstreamPool() = default;

void UpstreamPool::leave_gone_netns() {
  sockets_.clear();
  resolver_.leave_gone_netns();
  if (health_checker_)
    health_checker_->leave_gone_netns();
}

std::optional<TargetLease> UpstreamPool::take_target(const TriedTargets& tried,
                                                     const IpAddress& client) {
  const auto index = choose_target(balance_, targets_, tried, client, loop_.now());
  if (!index)
    return std::nullopt;
  return TargetLease(targets_[*index], loop_.now());
}

void UpstreamPool::add_tried(TriedTargets& tried, const TargetState& target) const {
  tried.resize(targets_.size());
  tried[static_cast<std::size_t>(&target - targets_.data())] = true;
}

void UpstreamPool::report_change(const TargetState& target) const {
  if (on_change_)
    on_change_(target);
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

SctpOptions sctp_options_of(const ForwardRule& rule) {
  return {rule.nodelay, rule.max_message, rule.receive_buffer, rule.send_buffer};
}

}  // namespace nsrelay
