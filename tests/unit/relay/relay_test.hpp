#pragma once

#include <memory>
#include <string>
#include <utility>

#include "nsrelay/netns/netns_scope.hpp"
#include "nsrelay/relay/relay_context.hpp"
#include "nsrelay/relay/rule_runtime.hpp"
#include "nsrelay/relay/tcp_connection.hpp"
#include "support/log_file.hpp"
#include "support/loop_test.hpp"
#include "support/netns_entry.hpp"

namespace nsrelay::test {

/// A test with everything that a listener or a connection borrows. The rule is changed first, then
/// runtime() and pool() are used.
class RelayTest : public LoopTest {
 protected:
  RelayTest() {
    config_->rules.resize(1);
    rule().name = "web";
    entry_.netns = std::move(*Netns::current());
    home_netns();  // found while there are descriptors, as the daemon does
  }

  ForwardRule& rule() { return config_->rules[0]; }

  RuleRuntime& runtime() {
    if (!runtime_)
      runtime_ = std::make_unique<RuleRuntime>(rule());
    return *runtime_;
  }
  std::shared_ptr<UpstreamPool> pool() {
    return runtime().pool_for(entry_, [this] {
      return std::make_shared<UpstreamPool>(*loop_, rule(), borrow(entry_), "blue");
    });
  }

  void add_target(const SocketAddress& address) {
    if (address.is_unix()) {
      const std::string path = address.to_string().substr(std::string("unix:").size());
      rule().upstream.targets.push_back(
          {.kind = TargetSpec::Kind::UnixPath, .text = address.to_string(), .path = path});
      return;
    }
    const IpEndpoint endpoint = address.endpoint();
    rule().upstream.targets.push_back({.kind = TargetSpec::Kind::Address,
                                       .text = endpoint.to_string(),
                                       .addresses = {{endpoint.ip, ""}},
                                       .ports = {endpoint.port, endpoint.port}});
  }

  std::shared_ptr<const ListenerInfo> listener_info(const std::string& netns = "blue") {
    return std::make_shared<const ListenerInfo>(
        ListenerInfo{netns, 7, "0.0.0.0:8000", 0, traffic_});
  }
  std::shared_ptr<const RelayRoute> route() {
    return std::make_shared<const RelayRoute>(
        RelayRoute{context_, runtime(), pool(), listener_info()});
  }
  [[nodiscard]] const TrafficCounters& traffic() const { return *traffic_; }

  /// A connection of `client`, in the table and started.
  TcpConnection& serve(UniqueFd client) {
    auto made = std::make_unique<TcpConnection>(
        route(),
        AcceptedClient{std::move(client), IpEndpoint{*IpAddress::parse("192.0.2.1"), 5000}});
    TcpConnection& connection = *made;
    context_.connections().add(std::move(made));
    connection.start();
    return connection;
  }

  std::shared_ptr<Config> config_ = std::make_shared<Config>();
  NetnsEntry entry_{.name = "blue", .source = "/run/netns/blue"};
  std::shared_ptr<TrafficCounters> traffic_ = std::make_shared<TrafficCounters>();
  std::unique_ptr<RuleRuntime> runtime_;
  LogFile log_;
  RelayContext context_{*loop_, log_.log(), {}};
};

}  // namespace nsrelay::test
