#include "nsrelay/config/option_table.hpp"

#include <algorithm>
#include <array>

#include "endpoint.hpp"
#include "names.hpp"
#include "netns_selector.hpp"
#include "nsrelay/base/timeout.hpp"
#include "rate.hpp"
#include "structure_readers.hpp"
#include "value_readers.hpp"

namespace nsrelay {
namespace {

using Scope = OptionScope;
using Type = OptionType;

constexpr std::string_view kLogLevels[] = {"trace", "debug", "info", "warn", "error"};
constexpr std::string_view kLogTargets[] = {"auto", "journal", "stderr"};
constexpr std::string_view kProtocols[] = {"tcp", "udp", "sctp"};
constexpr std::string_view kBalances[] = {"round_robin", "least_connections", "source_hash"};
constexpr std::string_view kHealthTypes[] = {"connect"};
constexpr std::string_view kProxyProtocols[] = {"none", "v1", "v2"};
constexpr std::string_view kOnNetnsDelete[] = {"close", "drain", "keep"};

constexpr std::int64_t kLongest = kLongestTimeout.count();
constexpr std::int64_t kLargestInt = 2'147'483'647;
// tcp(7): TCP_KEEPIDLE is in seconds, MAX_TCP_KEEPIDLE of the kernel.
constexpr std::int64_t kLongestKeepalive = 32'767'000;

constexpr OptionValues kBoolean = {.type = Type::Boolean};
constexpr OptionValues kTimeout = {.type = Type::TimeSpan, .least = 1, .most = kLongest};
constexpr OptionValues kTimeoutOrOff = {
    .type = Type::TimeSpan, .least = 1, .most = kLongest, .absent = "off"};
constexpr OptionValues kKeepalive = {.type = Type::TimeSpan,
                                     .least = 1000,
                                     .most = kLongestKeepalive,
                                     .absent = "off",
                                     .whole_seconds = true};
// SO_RCVBUF is an int that the kernel doubles (socket(7)).
constexpr OptionValues kSocketBuffer = {.type = Type::Size, .least = 1 << 10, .most = 1 << 30};
// A stopped reader may cost at most 16 MiB; one message is held as a whole.
constexpr OptionValues kMessage = {.type = Type::Size, .least = 1, .most = 4 << 20};

constexpr OptionValues integer(std::int64_t least, std::int64_t most,
                               std::string_view absent = {}) {
  return {.type = Type::Integer, .least = least, .most = most, .absent = absent};
}

constexpr OptionValues choice(std::span<const std::string_view> choices) {
  return {.type = Type::Choice, .choices = choices};
}

constexpr OptionValues form(std::string_view words) {
  return {.form = words};
}

constexpr OptionValues kMapping = form("a mapping");
constexpr OptionValues kInterface = form("the name of an interface");
constexpr OptionValues kNetworks =
    form("a network such as 10.0.0.0/8, an address, or a list of them");

constexpr ProtocolSet kTcp = protocol_bit(Protocol::Tcp);
constexpr ProtocolSet kUdp = protocol_bit(Protocol::Udp);
constexpr ProtocolSet kSctp = protocol_bit(Protocol::Sctp);

// clang-format off
constexpr Option kTopOptions[] = {
    {.scope = Scope::Top, .key = "log", .read = read_section<Scope::Log>, .values = kMapping,
     .standard = "", .help = "what is logged, and where"},
    {.scope = Scope::Top, .key = "control", .read = read_section<Scope::Control>,
     .values = kMapping,
     .standard = "", .help = "the socket that `nsrelay status` and its like talk to"},
    {.scope = Scope::Top, .key = "metrics", .read = read_section<Scope::Metrics>,
     .values = kMapping,
     .standard = "", .help = "numbers for Prometheus"},
    {.scope = Scope::Top, .key = "drain_timeout", .read = read_field<&Config::drain_timeout>,
     .values = {.type = Type::TimeSpan, .least = 0, .most = kLongest}, .standard = "30s",
     .help = "how long running connections may take after SIGTERM or in a drain"},
    {.scope = Scope::Top, .key = "busy_poll", .read = read_field<&Config::busy_poll>,
     .values = kBoolean, .standard = "false",
     .help = "while one or two connections exchange small messages, wait for the next one by asking "
             "for up to 50 µs before sleeping: half the latency, for more CPU"},
    {.scope = Scope::Top, .key = "defaults", .read = read_defaults, .values = kMapping,
     .standard = "",
     .help = "any key of a rule but `name`, `listen`, `upstream`: holds for every rule that does "
             "not have it"},
    {.scope = Scope::Top, .key = "rules", .read = read_rules, .values = form("a list of rules"),
     .standard = "required", .help = "what is forwarded"},

    {.scope = Scope::Log, .key = "level", .read = read_field<&LogConfig::level>,
     .values = choice(kLogLevels), .standard = "info", .help = "the least severe records to write"},
    {.scope = Scope::Log, .key = "target", .read = read_field<&LogConfig::target>,
     .values = choice(kLogTargets), .standard = "auto",
     .help = "`auto`: the journal when started by systemd, else stderr"},
    {.scope = Scope::Log, .key = "connections", .read = read_field<&LogConfig::connections>,
     .values = kBoolean, .standard = "true",
     .help = "one record per finished connection, session, association"},

    {.scope = Scope::Control, .key = "socket",
     .read = read_text<&Config::control_socket, parse_optional_unix_path>,
     .values = form("an absolute path of at most 107 bytes, or \"\""),
     .standard = "/run/nsrelay/control.sock",
     .help = "path of the control socket; `\"\"` switches it off. Without this key nsrelay also runs "
             "where the default cannot be made"},

    {.scope = Scope::Metrics, .key = "listen",
     .read = read_text<&Config::metrics_listen, parse_metrics_listen>,
     .values = form("ADDRESS:PORT, [V6]:PORT or *:PORT"), .standard = "none",
     .help = "Prometheus text is served at `/metrics`; absent: not at all"},
};

constexpr Option kRuleOptions[] = {
    {.scope = Scope::Rule, .key = "name", .read = read_text<&ForwardRule::name, parse_rule_name>,
     .values = form("1 to 255 letters, digits, '_', '-', '.'"), .standard = "required",
     .in_defaults = false, .help = "unique in the file"},
    {.scope = Scope::Rule, .key = "protocol", .read = read_field<&ForwardRule::protocol>,
     .values = choice(kProtocols), .standard = "tcp", .help = "what is forwarded"},
    {.scope = Scope::Rule, .key = "netns", .read = read_netns_list,
     .values = form("default, NAME, PATTERN, PATH, pid:N, or a list of them"),
     .standard = "default", .help = "in which namespaces the rule listens"},
    {.scope = Scope::Rule, .key = "listen", .read = read_listen_list,
     .values = form("ADDRESS:PORT, [V6]:PORT, *:PORT, ADDRESS:FIRST-LAST, or a list of them"),
     .standard = "required", .in_defaults = false, .help = "on which addresses and ports"},
    {.scope = Scope::Rule, .key = "upstream", .read = read_upstream,
     .values = form("a target, a list of targets, or a mapping"), .standard = "required",
     .in_defaults = false, .help = "where to"},
    {.scope = Scope::Rule, .key = "bind_device",
     .read = read_text<&ForwardRule::bind_device, parse_interface_name>, .values = kInterface,
     .standard = "none", .help = "listeners take traffic of this interface only (SO_BINDTODEVICE)"},
    {.scope = Scope::Rule, .key = "freebind", .read = read_field<&ForwardRule::freebind>,
     .values = kBoolean, .standard = "false",
     .help = "listen on addresses that the namespace does not have yet (IP_FREEBIND)"},
    {.scope = Scope::Rule, .key = "backlog", .read = read_field<&ForwardRule::backlog>,
     .values = integer(1, kLargestInt), .standard = "4096",
     .help = "clients that may wait to be accepted; the kernel cuts it to `net.core.somaxconn`"},
    {.scope = Scope::Rule, .key = "reuse_port", .read = read_field<&ForwardRule::reuse_port>,
     .values = kBoolean, .standard = "true",
     .help = "SO_REUSEPORT: another process of the same user may listen beside this one"},
    {.scope = Scope::Rule, .key = "idle_timeout", .read = read_field<&ForwardRule::idle_timeout>,
     .values = kTimeoutOrOff, .standard = "1h", .protocols = kTcp | kSctp,
     .help = "closed after no byte either way for so long"},
    {.scope = Scope::Rule, .key = "half_close_timeout",
     .read = read_field<&ForwardRule::half_close_timeout>, .values = kTimeout, .standard = "30s",
     .protocols = kTcp, .help = "after the FIN of one side; every byte starts it again"},
    {.scope = Scope::Rule, .key = "keepalive", .read = read_field<&ForwardRule::keepalive>,
     .values = kKeepalive, .standard = "60s", .protocols = kTcp,
     .help = "idle time before TCP probes the peer"},
    {.scope = Scope::Rule, .key = "user_timeout", .read = read_field<&ForwardRule::user_timeout>,
     .values = kTimeoutOrOff, .standard = "off", .protocols = kTcp,
     .help = "how long sent data may stay unacknowledged (TCP_USER_TIMEOUT)"},
    {.scope = Scope::Rule, .key = "nodelay", .read = read_field<&ForwardRule::nodelay>,
     .values = kBoolean, .standard = "true", .protocols = kTcp | kSctp,
     .help = "small writes are sent at once"},
    {.scope = Scope::Rule, .key = "mptcp", .read = read_field<&ForwardRule::mptcp>,
     .values = kBoolean, .standard = "false", .protocols = kTcp,
     .help = "listeners accept Multipath TCP"},
    {.scope = Scope::Rule, .key = "congestion",
     .read = read_text<&ForwardRule::congestion, parse_congestion_name>,
     .values = form("the name of a congestion control such as cubic, bbr or reno"),
     .standard = "kernel's", .protocols = kTcp, .help = "congestion control of both sides"},
    {.scope = Scope::Rule, .key = "session_timeout",
     .read = read_field<&ForwardRule::session_timeout>, .values = kTimeout, .standard = "60s",
     .protocols = kUdp, .help = "a session ends after no datagram either way for so long"},
    {.scope = Scope::Rule, .key = "max_sessions", .read = read_field<&ForwardRule::max_sessions>,
     .values = integer(1, kLargestInt), .standard = "65536", .protocols = kUdp,
     .help = "sessions of the rule at one time"},
    {.scope = Scope::Rule, .key = "receive_buffer",
     .read = read_field<&ForwardRule::receive_buffer>, .values = kSocketBuffer,
     .standard = "kernel's", .help = "SO_RCVBUF of both sides"},
    {.scope = Scope::Rule, .key = "send_buffer", .read = read_field<&ForwardRule::send_buffer>,
     .values = kSocketBuffer, .standard = "kernel's", .help = "SO_SNDBUF of both sides"},
    {.scope = Scope::Rule, .key = "max_connections",
     .read = read_field<&ForwardRule::max_connections>, .values = integer(1, kLargestInt, "none"),
     .standard = "none", .protocols = kTcp | kSctp,
     .help = "of the rule at one time; at the limit accepting stops and clients wait in the "
             "backlog"},
    {.scope = Scope::Rule, .key = "max_message", .read = read_field<&ForwardRule::max_message>,
     .values = kMessage, .standard = "256KiB", .protocols = kSctp,
     .help = "a longer message aborts the association"},
    {.scope = Scope::Rule, .key = "accept_proxy", .read = read_field<&ForwardRule::accept_proxy>,
     .values = kBoolean, .standard = "false", .protocols = kTcp,
     .help = "a PROXY v1 or v2 header is required and gives the client's address"},
    {.scope = Scope::Rule, .key = "per_source", .read = read_per_source,
     .values = {.absent = "none", .form = "a mapping"}, .standard = "none",
     .help = "limits for each client address or network"},
    {.scope = Scope::Rule, .key = "on_netns_delete",
     .read = read_field<&ForwardRule::on_netns_delete>, .values = choice(kOnNetnsDelete),
     .standard = "close",
     .help = "when the namespace of the listener or of the upstream is deleted: reset both sides, "
             "drain for up to `drain_timeout`, or go on"},
    {.scope = Scope::Rule, .key = "allow",
     .read = read_texts<&ForwardRule::allow, IpNetwork::parse>, .values = kNetworks,
     .standard = "everybody", .help = "clients that are served; all others are denied"},
    {.scope = Scope::Rule, .key = "deny",
     .read = read_texts<&ForwardRule::deny, IpNetwork::parse, true>, .values = kNetworks,
     .standard = "nobody", .help = "clients that are denied, whatever `allow` says"},
};

constexpr Option kInnerOptions[] = {
    {.scope = Scope::Upstream, .key = "targets", .read = read_targets,
     .values = form("a target, or a list of targets"), .standard = "required",
     .help = "who is connected to"},
    {.scope = Scope::Upstream, .key = "netns",
     .read = read_text<&UpstreamConfig::netns, parse_upstream_netns>,
     .values = form("default, same, NAME, PATH or pid:N"), .standard = "default",
     .help = "the namespace to connect from; `same`: the listener's"},
    {.scope = Scope::Upstream, .key = "balance", .read = read_field<&UpstreamConfig::balance>,
     .values = choice(kBalances), .standard = "round_robin", .help = "which target is tried first"},
    {.scope = Scope::Upstream, .key = "health", .read = read_section<Scope::Health>,
     .values = kMapping, .standard = "", .help = "probes of the targets"},
    {.scope = Scope::Upstream, .key = "connect_timeout",
     .read = read_field<&UpstreamConfig::connect_timeout>, .values = kTimeout, .standard = "5s",
     .help = "for each target; the next one is tried after it"},
    {.scope = Scope::Upstream, .key = "bind_device",
     .read = read_text<&UpstreamConfig::bind_device, parse_interface_name>, .values = kInterface,
     .standard = "none", .help = "connect through this interface (SO_BINDTODEVICE)"},
    {.scope = Scope::Upstream, .key = "source", .read = read_source,
     .values = form("addresses and networks, at most 65536 addresses altogether"),
     .standard = "kernel's", .help = "addresses to connect from, in turn"},
    {.scope = Scope::Upstream, .key = "proxy_protocol",
     .read = read_field<&UpstreamConfig::proxy_protocol>, .values = choice(kProxyProtocols),
     .standard = "none",
     .help = "tcp: the header that tells the target who the client is; v2 carries the name of the "
             "namespace"},

    {.scope = Scope::Health, .key = "interval", .read = read_field<&HealthCheck::interval>,
     .values = kTimeoutOrOff, .standard = "off", .help = "time between two probes of a target"},
    {.scope = Scope::Health, .key = "timeout", .read = read_field<&HealthCheck::timeout>,
     .values = kTimeout, .standard = "1s", .help = "a probe that takes longer has failed"},
    {.scope = Scope::Health, .key = "type", .read = read_field<&HealthCheck::type>,
     .values = choice(kHealthTypes), .standard = "connect", .help = "what a probe does"},

    {.scope = Scope::PerSource, .key = "connections",
     .read = read_field<&PerSourceLimit::connections>, .values = integer(1, kLargestInt),
     .standard = "none", .help = "connections or sessions at one time"},
    {.scope = Scope::PerSource, .key = "rate",
     .read = read_text<&PerSourceLimit::rate, parse_rate>,
     .values = form("1 to 2147483647, also written 20/s"), .standard = "none",
     .help = "new connections or sessions per second"},
    {.scope = Scope::PerSource, .key = "prefix4", .read = read_field<&PerSourceLimit::prefix4>,
     .values = integer(0, 32), .standard = "32",
     .help = "IPv4 clients that share so many bits are counted as one"},
    {.scope = Scope::PerSource, .key = "prefix6", .read = read_field<&PerSourceLimit::prefix6>,
     .values = integer(0, 128), .standard = "64",
     .help = "IPv6 clients that share so many bits are counted as one"},

    {.scope = Scope::Target, .key = "address", .read = read_target_address,
     .values = form("ADDRESS:PORT, [V6]:PORT, HOST:PORT, one of them with FIRST-LAST, or "
             "unix:PATH"),
     .standard = "required", .help = "the target"},
    {.scope = Scope::Target, .key = "weight", .read = read_field<&TargetSpec::weight>,
     .values = integer(1, 65535), .standard = "1", .help = "its share, relative to the others"},
    {.scope = Scope::Target, .key = "backup", .read = read_field<&TargetSpec::backup>,
     .values = kBoolean, .standard = "false", .help = "used only when no other target is up"},
};
// clang-format on

constexpr auto kTable = [] {
  std::array<Option, std::size(kTopOptions) + std::size(kRuleOptions) + std::size(kInnerOptions)>
      table{};
  auto end = std::copy(std::begin(kTopOptions), std::end(kTopOptions), table.begin());
  end = std::copy(std::begin(kRuleOptions), std::end(kRuleOptions), end);
  std::copy(std::begin(kInnerOptions), std::end(kInnerOptions), end);
  return table;
}();

}  // namespace

std::span<const Option> option_table() {
  return kTable;
}

const Option* find_option(OptionScope scope, std::string_view key) {
  const auto option = std::find_if(kTable.begin(), kTable.end(), [&](const Option& one) {
    return one.scope == scope && one.key == key;
  });
  return option == kTable.end() ? nullptr : &*option;
}

}  // namespace nsrelay
