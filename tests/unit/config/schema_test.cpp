#include "config_test_support.hpp"
#include "nsrelay/config/option_table.hpp"

namespace nsrelay {
namespace {

using namespace std::chrono_literals;

ForwardRule rule_of(const std::string& text) {
  const Config config = config_of(text);
  return config.rules.empty() ? ForwardRule{} : config.rules.back();
}

TEST(Schema, AMinimalRuleHasEveryDefault) {
  const Config config = config_of(rule_with(""));
  ForwardRule expected;
  expected.name = "web";
  expected.listen = {{{{IpAddress::any_v4(), ""}}, false, {80, 80}}};
  TargetSpec target;
  target.kind = TargetSpec::Kind::HostName;
  target.text = "app.example:80";
  target.host = "app.example";
  target.ports = {80, 80};
  expected.upstream.targets = {target};
  EXPECT_EQ(config.rules, std::vector{expected});
  EXPECT_EQ(config.file, "rules.yaml");
  EXPECT_EQ(config.log, LogConfig{});
  EXPECT_EQ(config.control_socket, std::nullopt);
  EXPECT_EQ(config.metrics_listen, std::nullopt);
  EXPECT_EQ(config.drain_timeout, 30s);
  EXPECT_FALSE(config.busy_poll);
}

TEST(Schema, GlobalOptionsAreRead) {
  const Config config = config_of(
      "log: {level: debug, target: journal, connections: false}\n"
      "control: {socket: ''}\n"
      "metrics: {listen: '[::1]:9180'}\n"
      "drain_timeout: 2m\n"
      "busy_poll: true\n" +
      rule_with(""));
  EXPECT_EQ(config.log, (LogConfig{LogLevel::Debug, LogTarget::Journal, false}));
  EXPECT_EQ(config.control_socket, "");
  ASSERT_TRUE(config.metrics_listen);
  EXPECT_EQ(config.metrics_listen->addresses[0].address, *IpAddress::parse("::1"));
  EXPECT_EQ(config.metrics_listen->ports, (PortRange{9180, 9180}));
  EXPECT_EQ(config.drain_timeout, 2min);
  EXPECT_TRUE(config.busy_poll);
}

TEST(Schema, TcpOptionsAreRead) {
  const ForwardRule rule = rule_of(
      rule_with("netns: [default, ns1, 'tenant-*', /run/x, 'pid:7']\n"
                "  bind_device: eth0\n  freebind: true\n  backlog: 16\n  reuse_port: false\n"
                "  idle_timeout: off\n  half_close_timeout: 5s\n  keepalive: off\n"
                "  user_timeout: 250ms\n  nodelay: false\n  mptcp: true\n  congestion: bbr\n"
                "  receive_buffer: 64KiB\n  send_buffer: 1MiB\n  max_connections: 10\n"
                "  accept_proxy: true\n  on_netns_delete: keep\n"
                "  allow: [10.0.0.0/8, '2001:db8::1']\n  deny: 10.1.0.0/16\n"
                "  per_source: {connections: 3, rate: 4, prefix4: 0, prefix6: 48}"));
  EXPECT_EQ(rule.netns.size(), 5U);
  EXPECT_EQ(rule.bind_device, "eth0");
  EXPECT_TRUE(rule.freebind);
  EXPECT_EQ(rule.backlog, 16);
  EXPECT_FALSE(rule.reuse_port);
  EXPECT_EQ(rule.idle_timeout, std::nullopt);
  EXPECT_EQ(rule.half_close_timeout, 5s);
  EXPECT_EQ(rule.keepalive, std::nullopt);
  EXPECT_EQ(rule.user_timeout, Duration(250));
  EXPECT_FALSE(rule.nodelay);
  EXPECT_TRUE(rule.mptcp);
  EXPECT_EQ(rule.congestion, "bbr");
  EXPECT_EQ(rule.receive_buffer, ByteSize{64 << 10});
  EXPECT_EQ(rule.send_buffer, ByteSize{1 << 20});
  EXPECT_EQ(rule.max_connections, 10U);
  EXPECT_TRUE(rule.accept_proxy);
  EXPECT_EQ(rule.on_netns_delete, OnNetnsDelete::Keep);
  EXPECT_EQ(rule.allow.size(), 2U);
  EXPECT_EQ(rule.deny.size(), 1U);
  EXPECT_EQ(rule.per_source, (PerSourceLimit{3, 4, 0, 48}));
}

TEST(Schema, UdpAndSctpOptionsAreRead) {
  const ForwardRule udp =
      rule_of(rule_with("protocol: udp\n  session_timeout: 5s\n  max_sessions: 7"));
  EXPECT_EQ(udp.protocol, Protocol::Udp);
  EXPECT_EQ(udp.session_timeout, 5s);
  EXPECT_EQ(udp.max_sessions, 7U);
  const ForwardRule sctp = rule_of(
      "rules:\n- {name: a, protocol: sctp, listen: '10.0.0.1+10.0.0.2:5', upstream: "
      "'[2001:db8::1]+[2001:db8::2]:6', max_message: 1MiB}\n");
  EXPECT_EQ(sctp.listen[0].addresses.size(), 2U);
  EXPECT_EQ(sctp.upstream.targets[0].addresses.size(), 2U);
  EXPECT_EQ(sctp.max_message, ByteSize{1 << 20});
}

TEST(Schema, UpstreamOptionsAreRead) {
  const UpstreamConfig upstream =
      rule_of(upstream_with("netns: same\n    balance: source_hash\n"
                            "    health: {interval: 2s, timeout: 500ms, type: connect}\n"
                            "    connect_timeout: 3s\n    bind_device: ens160\n"
                            "    source: [192.168.3.48, 10.0.0.0/24]\n    proxy_protocol: v2"))
          .upstream;
  EXPECT_EQ(upstream.netns.kind, NetnsSelector::Kind::Same);
  EXPECT_EQ(upstream.balance, Balance::SourceHash);
  EXPECT_EQ(upstream.health, (HealthCheck{2s, 500ms, HealthCheckType::Connect}));
  EXPECT_EQ(upstream.connect_timeout, 3s);
  EXPECT_EQ(upstream.bind_device, "ens160");
  EXPECT_EQ(upstream.source.size(), 2U);
  EXPECT_EQ(upstream.proxy_protocol, ProxyProtocol::V2);
}

TEST(Schema, TargetsAreATextAListOrMappings) {
  EXPECT_EQ(rule_of(rule_with("")).upstream.targets.size(), 1U);
  const ForwardRule rule = rule_of(
      "rules:\n- name: a\n  listen: '*:80'\n  upstream:\n  - 10.0.0.5:80\n"
      "  - {address: 'unix:/run/app.sock', weight: 2, backup: true}\n");
  ASSERT_EQ(rule.upstream.targets.size(), 2U);
  EXPECT_EQ(rule.upstream.targets[1].path, "/run/app.sock");
  EXPECT_EQ(rule.upstream.targets[1].weight, 2U);
  EXPECT_TRUE(rule.upstream.targets[1].backup);
}

TEST(Schema, DefaultsHoldForRulesThatDoNotSayOtherwise) {
  const Config config = config_of(
      "rules:\n- {name: a, listen: '*:1', upstream: 'h:1'}\n"
      "- {name: b, listen: '*:2', upstream: 'h:1', netns: y, keepalive: 5s, "
      "max_connections: none, per_source: none, deny: []}\n"
      "defaults: {netns: [x, y], keepalive: off, session_timeout: 1s, max_connections: 5,\n"
      "  per_source: {rate: 1, prefix4: 24}, deny: 10.0.0.1}\n");
  EXPECT_EQ(config.rules[0].netns.size(), 2U);
  EXPECT_EQ(config.rules[0].keepalive, std::nullopt);
  EXPECT_EQ(config.rules[0].max_connections, 5U);
  EXPECT_EQ(config.rules[0].per_source.prefix4, 24);
  EXPECT_EQ(config.rules[1].netns.size(), 1U);
  EXPECT_EQ(config.rules[1].keepalive, 5s);
  EXPECT_EQ(config.rules[1].max_connections, std::nullopt);
  EXPECT_EQ(config.rules[1].per_source, PerSourceLimit{});
  EXPECT_TRUE(config.rules[1].deny.empty());
}

TEST(Schema, PerSourceOfARuleReplacesTheDefaultsAsAWhole) {
  const Config config = config_of(
      "defaults: {per_source: {rate: 1, prefix4: 24}}\n"
      "rules:\n- {name: a, listen: '*:1', upstream: 'h:1', per_source: {connections: 2}}\n");
  EXPECT_EQ(config.rules[0].per_source, (PerSourceLimit{2, std::nullopt, 32, 64}));
}

TEST(Schema, ARangeMapsToARangeOrToOnePort) {
  EXPECT_EQ(rule_of("rules:\n- {name: a, listen: '*:1-9', upstream: ['h:11-19', 'h:80', "
                    "'unix:/x']}\n")
                .upstream.targets[0]
                .ports,
            (PortRange{11, 19}));
}

/// The text of a rule with one option of a scope that a rule leads to.
std::string rule_with_option(const Option& option, std::string_view value) {
  const std::string entry = std::string(option.key).append(": ").append(value);
  const std::string protocol = (option.protocols & protocol_bit(Protocol::Tcp)) != 0   ? "tcp"
                               : (option.protocols & protocol_bit(Protocol::Udp)) != 0 ? "udp"
                                                                                       : "sctp";
  switch (option.scope) {
    case OptionScope::Rule:
      return rule_with(option.key == "protocol" ? entry : entry + "\n  protocol: " + protocol);
    case OptionScope::Upstream:
      return upstream_with(entry + "\n  protocol: " + protocol);
    case OptionScope::Health:
      return upstream_with("health: {" + entry + "}\n  protocol: tcp");
    default:
      return "";
  }
}

TEST(OptionTable, SaysTheDefaultsThatTheStructsHave) {
  int checked = 0;
  for (const Option& option : option_table()) {
    const bool is_value = option.values.type != OptionType::Other || option.key == "netns";
    const bool is_word = option.standard == "kernel's" || option.standard == "none";
    const std::string text = rule_with_option(option, option.standard);
    if (!is_value || (is_word && option.values.choices.empty()) || text.empty())
      continue;
    ForwardRule rule = rule_of(text);
    ForwardRule expected = rule_of(rule_with(""));
    expected.protocol = rule.protocol;
    EXPECT_EQ(rule, expected) << text;
    ++checked;
  }
  EXPECT_GT(checked, 20);
}

TEST(OptionTable, HasEveryKeyOnceWithHelpAndAReader) {
  for (const Option& option : option_table()) {
    EXPECT_EQ(find_option(option.scope, option.key), &option) << option_path(option);
    EXPECT_FALSE(option.help.empty()) << option_path(option);
    EXPECT_NE(option.read, nullptr) << option_path(option);
    EXPECT_FALSE(describe_values(option.values).empty()) << option_path(option);
  }
}

TEST(OptionTable, DefaultsTakeEveryRuleOptionButThree) {
  std::vector<std::string_view> refused;
  for (const Option& option : option_table())
    if (!option.in_defaults)
      refused.push_back(option.key);
  EXPECT_THAT(refused, testing::ElementsAre("name", "listen", "upstream"));
}

}  // namespace
}  // namespace nsrelay
