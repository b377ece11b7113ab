#include "nsrelay/config/config_loader.hpp"

#include "config_test_support.hpp"

namespace nsrelay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Wrong {
  std::string text;
  std::string fault;
};

void PrintTo(const Wrong& wrong, std::ostream* out) {
  *out << wrong.fault;
}

class WrongFile : public testing::TestWithParam<Wrong> {};

TEST_P(WrongFile, HasExactlyThisFault) {
  EXPECT_THAT(faults_of(GetParam().text), ElementsAre(GetParam().fault)) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Rules, WrongFile,
    testing::Values(Wrong{"", "1:1: the file is empty; at least one rule is needed under 'rules'"},
                    Wrong{"# nothing\n",
                          "1:1: the file is empty; at least one rule is needed under 'rules'"},
                    Wrong{"log: {level: info}\n", "1:1: the key 'rules' is missing"},
                    Wrong{"rules: []\n", "1:8: rules: no rule; at least one is needed"},
                    Wrong{"rules:\n", "1:1: rules: the value is missing; expected a list of rules"},
                    Wrong{"rules: {}\n", "1:8: rules: expected a list of rules, not a mapping"},
                    Wrong{"rules: [web]\n", "1:9: a rule: expected a mapping, not text"},
                    Wrong{"- a\n", "1:1: the top level: expected a mapping, not a list"},
                    Wrong{"just text\n", "1:1: the top level: expected a mapping, not text"}));

INSTANTIATE_TEST_SUITE_P(
    Keys, WrongFile,
    testing::Values(Wrong{rule_with("idel_timeout: 5s"),
                          "5:3: unknown key 'idel_timeout'; did you mean 'idle_timeout'?"},
                    Wrong{rule_with("balance: round_robin"),
                          "5:3: unknown key 'balance'; it belongs in "
                          "'upstream'"},
                    Wrong{"netns: a\n" + rule_with(""),
                          "1:1: unknown key 'netns'; it belongs in a rule"},
                    Wrong{rule_with("<<: {}"),
                          "5:3: unknown key '<<'; merge keys are not supported, "
                          "'defaults' holds what rules share"},
                    Wrong{rule_with("name: other"), "5:3: duplicate key 'name' (first at line 2)"},
                    Wrong{"log: {colour: red}\n" + rule_with(""),
                          "1:7: unknown key 'colour'; allowed: level, target, connections"},
                    Wrong{"defaults: {listen: 'x'}\n" + rule_with(""),
                          "1:12: 'listen' is not allowed in 'defaults'"},
                    Wrong{"rules:\n- name: web\n  listen: 0.0.0.0:80\n  upstraem: app.example:80\n",
                          "4:3: unknown key 'upstraem'; did you mean 'upstream'?"}));

INSTANTIATE_TEST_SUITE_P(
    MissingKeys, WrongFile,
    testing::Values(Wrong{"rules:\n- name: web\n  listen: 0.0.0.0:80\n",
                          "2:3: rule 'web': the key 'upstream' is missing"},
                    Wrong{"rules:\n- upstream: app.example:80\n  name: web\n",
                          "2:3: rule 'web': the key 'listen' is missing"},
                    Wrong{"rules:\n- listen: 0.0.0.0:80\n  upstream: app.example:80\n",
                          "2:3: the rule: the key 'name' is missing"},
                    Wrong{"rules:\n- name: web\n  listen: 0.0.0.0:80\n  upstream: {netns: same}\n",
                          "4:13: 'upstream': the key 'targets' is missing"},
                    Wrong{"rules:\n- name: web\n  listen: 0.0.0.0:80\n  upstream: [{weight: 2}]\n",
                          "4:14: an entry of 'upstream.targets': the key 'address' is missing"}));

INSTANTIATE_TEST_SUITE_P(
    Types, WrongFile,
    testing::Values(
        Wrong{rule_with("nodelay: yes"), "5:12: nodelay: expected true or false, not 'yes'"},
        Wrong{rule_with("nodelay: True"), "5:12: nodelay: expected true or false, not 'True'"},
        Wrong{rule_with("nodelay: 'true'"), "5:12: nodelay: expected true or false without quotes"},
        Wrong{rule_with("nodelay: [true]"), "5:12: nodelay: expected true or false, not a list"},
        Wrong{rule_with("backlog: '1'"), "5:12: backlog: expected 1 to 2147483647 without quotes"},
        Wrong{rule_with("backlog: 1k"), "5:12: backlog: expected 1 to 2147483647, not '1k'"},
        Wrong{rule_with("backlog: 010"), "5:12: backlog: expected 1 to 2147483647, not '010'"},
        Wrong{rule_with("protocol: {}"), "5:13: protocol: expected tcp, udp, sctp, not a mapping"},
        Wrong{rule_with("allow: {a: b}"),
              "5:10: allow: expected a network such as 10.0.0.0/8, an address, or a list of them, "
              "not a mapping"},
        Wrong{rule_with("allow: [10.0.0.1, ~]"),
              "5:21: allow: expected a network such as 10.0.0.0/8, an address, or a list of them, "
              "not nothing"},
        Wrong{rule_with("per_source: 5"), "5:15: 'per_source': expected a mapping, not text"},
        Wrong{"log: info\n" + rule_with(""), "1:6: 'log': expected a mapping, not text"},
        Wrong{rule_with("netns:"),
              "5:3: netns: the value is missing; expected default, NAME, "
              "PATTERN, PATH, pid:N, or a list of them"},
        Wrong{rule_with("keepalive: ~"),
              "5:14: keepalive: the value is missing; expected whole "
              "seconds from 1s to 32767s, or off"}));

INSTANTIATE_TEST_SUITE_P(
    Values, WrongFile,
    testing::Values(
        Wrong{rule_with("protocol: tpc"),
              "5:13: protocol: 'tpc' is not allowed; allowed: tcp, udp, sctp"},
        Wrong{rule_with("backlog: 0"),
              "5:12: backlog: '0' is out of range; allowed: 1 to 2147483647"},
        Wrong{rule_with("backlog: -1"),
              "5:12: backlog: '-1' is out of range; allowed: 1 to 2147483647"},
        Wrong{rule_with("backlog: 99999999999999999999"),
              "5:12: backlog: '99999999999999999999' is out of range; allowed: 1 to 2147483647"},
        Wrong{rule_with("idle_timeout: 5"),
              "5:17: idle_timeout: a unit is missing; expected a "
              "duration such as 250ms, 5s, 2m or 1h"},
        Wrong{rule_with("idle_timeout: 0s"),
              "5:17: idle_timeout: '0s' is out of range; allowed: "
              "a duration from 1ms to 596h, or off"},
        Wrong{rule_with("half_close_timeout: off"),
              "5:23: half_close_timeout: expected a duration such as 250ms, 5s, 2m or 1h"},
        Wrong{rule_with("user_timeout: 597h"),
              "5:17: user_timeout: '597h' is out of range; "
              "allowed: a duration from 1ms to 596h, or off"},
        Wrong{rule_with("keepalive: 1500ms"),
              "5:14: keepalive: expected whole seconds from 1s to "
              "32767s, or off, not '1500ms'"},
        Wrong{rule_with("send_buffer: 65536"),
              "5:16: send_buffer: a unit is missing; expected a "
              "size such as 64KiB or 1MiB"},
        Wrong{rule_with("send_buffer: 2GiB"),
              "5:16: send_buffer: '2GiB' is out of range; allowed: a size from 1KiB to 1GiB"},
        Wrong{rule_with("congestion: a b"),
              "5:15: congestion: 'a b': not a congestion control; "
              "expected a name such as cubic, bbr or reno"},
        Wrong{rule_with("allow: []"),
              "5:10: allow: the list is empty; expected a network such as "
              "10.0.0.0/8, an address, or a list of them"},
        Wrong{rule_with("deny: 10.0.0.1/8"),
              "5:9: deny: '10.0.0.1/8': address bits behind the "
              "prefix; did you mean 10.0.0.0/8?"},
        Wrong{rule_with("per_source: {prefix4: 24}"),
              "5:15: per_source: nothing is limited; "
              "'connections' or 'rate' is missing"},
        Wrong{rule_with("per_source: {rate: 1, prefix6: 129}"),
              "5:34: per_source.prefix6: '129' is out of range; allowed: 0 to 128"},
        Wrong{rule_with("netns: [a, 'b', a]"), "5:19: netns: 'a' is listed twice"},
        Wrong{rule_with("netns: same"), "5:10: netns: 'same': allowed in upstream.netns only"},
        Wrong{"control: {socket: run/x}\n" + rule_with(""),
              "1:19: control.socket: 'run/x': a Unix socket needs an absolute path"},
        Wrong{"drain_timeout: 30\n" + rule_with(""),
              "1:16: drain_timeout: a unit is missing; expected a duration such as 250ms, 5s, 2m "
              "or 1h"}));

INSTANTIATE_TEST_SUITE_P(
    Upstream, WrongFile,
    testing::Values(
        Wrong{upstream_with("balance: random"),
              "6:14: upstream.balance: 'random' is not allowed; "
              "allowed: round_robin, least_connections, "
              "source_hash"},
        Wrong{upstream_with("netns: a*"),
              "6:12: upstream.netns: 'a*': a pattern is not allowed "
              "here; expected default, same, NAME, PATH or pid:N"},
        Wrong{upstream_with("source: 10.0.0.0/15"),
              "6:13: upstream.source: too many addresses; "
              "allowed: at most 65536 altogether"},
        Wrong{upstream_with("source: ['2001:db8::/64']"),
              "6:13: upstream.source: too many addresses; allowed: at most 65536 altogether"},
        Wrong{upstream_with("health: {type: http}"),
              "6:20: upstream.health.type: 'http' is not allowed; allowed: connect"},
        Wrong{"rules:\n- name: web\n  listen: 0.0.0.0:80\n  upstream: []\n",
              "4:13: upstream: the list is empty; at least one target is needed"},
        Wrong{"rules:\n- name: web\n  listen: 0.0.0.0:80\n"
              "  upstream: [{address: 'h:1', weight: 0}]\n",
              "4:39: upstream.targets.weight: '0' is out of range; allowed: 1 to 65535"}));

INSTANTIATE_TEST_SUITE_P(
    Protocols, WrongFile,
    testing::Values(
        Wrong{rule_with("session_timeout: 5s"), "5:3: session_timeout: only for protocol udp"},
        Wrong{rule_with("max_message: 1KiB"), "5:3: max_message: only for protocol sctp"},
        Wrong{rule_with("protocol: udp\n  idle_timeout: 5s"),
              "6:3: idle_timeout: only for protocol tcp, sctp"},
        Wrong{rule_with("protocol: sctp\n  mptcp: true"), "6:3: mptcp: only for protocol tcp"},
        Wrong{upstream_with("proxy_protocol: v1\n  protocol: udp"),
              "6:21: upstream.proxy_protocol: only for protocol tcp"},
        Wrong{upstream_with("proxy_protocol: v2\n  protocol: sctp"),
              "6:21: upstream.proxy_protocol: only for protocol tcp"},
        Wrong{rule_with("protocol: sctp\n  accept_proxy: true"),
              "6:3: accept_proxy: only for protocol tcp"},
        Wrong{rule_with("protocol: sctp\n  half_close_timeout: 5s"),
              "6:3: half_close_timeout: only for protocol tcp"},
        Wrong{"rules:\n- name: web\n  listen: 10.0.0.1+10.0.0.2:80\n  upstream: h:80\n",
              "3:11: listen: several addresses (A+B:PORT) are only for protocol sctp"},
        Wrong{"rules:\n- name: web\n  listen: 10.0.0.1:80\n  upstream: 10.0.0.2+10.0.0.3:80\n",
              "4:13: upstream: several addresses (A+B:PORT) are only for protocol sctp"},
        Wrong{"rules:\n- name: web\n  protocol: udp\n  listen: 0.0.0.0:80\n"
              "  upstream: unix:/run/x\n",
              "5:13: upstream: a Unix socket is only for protocol tcp"}));

INSTANTIATE_TEST_SUITE_P(
    Sources, WrongFile,
    testing::Values(
        Wrong{"rules:\n- name: a\n  listen: '*:80'\n  upstream:\n"
              "    targets: [10.0.0.1:81, '[2001:db8::1]:80', 'h:80', 'unix:/x']\n"
              "    source: [192.0.2.0/28]\n",
              "5:28: upstream: 'source' has no IPv6 address to connect from to this target"},
        Wrong{"rules:\n- name: a\n  listen: '*:80'\n  upstream:\n"
              "    targets: [10.0.0.1:81]\n    source: ['2001:db8::1']\n",
              "5:15: upstream: 'source' has no IPv4 address to connect from to this target"}));

INSTANTIATE_TEST_SUITE_P(
    Ranges, WrongFile,
    testing::Values(
        Wrong{"rules:\n- {name: a, listen: '*:10-19', upstream: 'h:10-18'}\n",
              "2:42: upstream: the 9 ports 10-18 do not match the 10 of listen; allowed: a range "
              "of that length or one port"},
        Wrong{"rules:\n- {name: a, listen: ['*:10-19', '*:80'], upstream: 'h:10-19'}\n",
              "2:52: upstream: the 10 ports 10-19 do not match the 1 of listen; allowed: a range "
              "of that length or one port"}));

TEST(ParseConfig, ReportsEveryFaultInFileOrder) {
  EXPECT_THAT(faults_of("rules:\n"
                        "- name: web\n"
                        "  upstraem: 10.0.0.5:80\n"
                        "  listen: [\"*:0\", 10.0.0.1]\n"
                        "- name: web\n"
                        "  protocol: tpc\n"
                        "  listen: 0.0.0.0:1\n"
                        "  upstream: h:1\n"
                        "log: {level: loud}\n"),
              ElementsAre("3:3: unknown key 'upstraem'; did you mean 'upstream'?",
                          "4:12: listen: '*:0': port 0 is out of range; allowed: 1 to 65535",
                          "4:19: listen: '10.0.0.1': a port is missing; expected ADDRESS:PORT, "
                          "[V6]:PORT or ADDRESS:FIRST-LAST",
                          "5:9: duplicate rule name 'web' (first at line 2)",
                          "6:13: protocol: 'tpc' is not allowed; allowed: tcp, udp, sctp",
                          "9:14: log.level: 'loud' is not allowed; allowed: trace, debug, info, "
                          "warn, error"));
}

TEST(ParseConfig, AFaultInAnAliasedNodeIsReportedOnce) {
  EXPECT_THAT(faults_of("rules:\n"
                        "- {name: a, listen: '*:1', upstream: &up 'h:0'}\n"
                        "- {name: b, listen: '*:2', upstream: *up}\n"),
              testing::SizeIs(1));
}

TEST(ParseConfig, AnUnknownProtocolHidesWhatDependsOnIt) {
  EXPECT_THAT(faults_of(rule_with("protocol: upd\n  session_timeout: 5s")), testing::SizeIs(1));
  EXPECT_THAT(faults_of("defaults: {protocol: upd}\n" + rule_with("session_timeout: 5s")),
              testing::SizeIs(1));
}

TEST(LoadConfig, OfAFileThatCannotBeReadIsOneFaultWithoutAPlace) {
  const auto outcome = load_config("/nonexistent.yaml");
  const auto& faults = std::get<std::vector<ConfigFault>>(outcome);
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_EQ(format_fault("/nonexistent.yaml", faults[0]),
            "/nonexistent.yaml: error: No such file or directory");
}

}  // namespace
}  // namespace nsrelay
