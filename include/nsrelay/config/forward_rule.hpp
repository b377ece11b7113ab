#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nsrelay/base/byte_size.hpp"
#include "nsrelay/base/duration.hpp"
#include "nsrelay/base/ip_address.hpp"

namespace nsrelay {

enum class Protocol : std::uint8_t { Tcp, Udp, Sctp };

/// "tcp", "udp" or "sctp".
std::string_view to_string(Protocol protocol);

/// One entry of `netns`: which namespaces are meant. Says nothing about whether they exist.
struct NetnsSelector {
  enum class Kind : std::uint8_t {
    Default,      ///< `default`: the namespace in which the daemon started
    Same,         ///< `same` (upstream only): the listener's namespace
    Name,         ///< `ns1`: bound at /run/netns/ns1
    NamePattern,  ///< `tenant-*`: every matching name in /run/netns, now or later
    Path,         ///< `/path/to/nsfs`
    PathPattern,  ///< `/var/run/docker/netns/*`: a pattern in the last part only
    Pid,          ///< `pid:4242`
  };
  Kind kind = Kind::Default;
  /// As written in the file, without anything resolved: "default", "ns1", "/path", "pid:4242".
  std::string text = "default";
  /// For Pid.
  pid_t pid = 0;

  friend bool operator==(const NetnsSelector&, const NetnsSelector&) = default;
};

/// FIRST-LAST, both included; one port where they are equal. Never 0.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;

  [[nodiscard]] int size() const { return last - first + 1; }
  friend bool operator==(const PortRange&, const PortRange&) = default;
};

/// An IP address and, for fe80::/10, the interface it is meant on (`[fe80::1%eth0]`). The name is
/// looked up in the namespace where the socket is made.
struct ZonedAddress {
  IpAddress address;
  std::string zone;

  friend bool operator==(const ZonedAddress&, const ZonedAddress&) = default;
};

/// One entry of `listen`.
struct ListenSpec {
  /// One address; several only for an SCTP endpoint (`A+B:PORT`), all of one family. For
  /// `*:PORT` it is `::` and `dual_stack` is set.
  std::vector<ZonedAddress> addresses;
  bool dual_stack = false;
  PortRange ports;

  friend bool operator==(const ListenSpec&, const ListenSpec&) = default;
};

/// One entry of `upstream.targets`.
struct TargetSpec {
  enum class Kind : std::uint8_t { Address, HostName, UnixPath };
  Kind kind = Kind::Address;
  /// As written, e.g. `app.example:80`. May contain `{netns}`.
  std::string text;
  /// Address: one, or several of one SCTP endpoint.
  std::vector<ZonedAddress> addresses;
  /// HostName: the name. May contain `{netns}`.
  std::string host;
  /// UnixPath: the path, at most 107 bytes. May contain `{netns}`.
  std::string path;
  /// Address and HostName. A range has the length of the listen range that it belongs to.
  PortRange ports;
  std::uint32_t weight = 1;
  bool backup = false;

  friend bool operator==(const TargetSpec&, const TargetSpec&) = default;
};

enum class Balance : std::uint8_t { RoundRobin, LeastConnections, SourceHash };
enum class ProxyProtocol : std::uint8_t { None, V1, V2 };

enum class HealthCheckType : std::uint8_t { Connect };

/// `upstream.health`: how targets are probed. No interval: not at all.
struct HealthCheck {
  std::optional<Duration> interval;
  Duration timeout{1000};
  HealthCheckType type = HealthCheckType::Connect;

  friend bool operator==(const HealthCheck&, const HealthCheck&) = default;
};

struct UpstreamConfig {
  std::vector<TargetSpec> targets;
  NetnsSelector netns;
  Balance balance = Balance::RoundRobin;
  HealthCheck health;
  Duration connect_timeout{5000};
  std::string bind_device;
  std::vector<IpNetwork> source;
  ProxyProtocol proxy_protocol = ProxyProtocol::None;

  friend bool operator==(const UpstreamConfig&, const UpstreamConfig&) = default;
};

enum class OnNetnsDelete : std::uint8_t { Close, Drain, Keep };

/// `per_source`: bounds per client address or network. Absent number: no bound.
struct PerSourceLimit {
  std::optional<std::uint32_t> connections;
  /// New connections (or sessions) per second.
  std::optional<std::uint32_t> rate;
  int prefix4 = 32;
  int prefix6 = 64;

  friend bool operator==(const PerSourceLimit&, const PerSourceLimit&) = default;
};

/// One entry of `rules`: which namespaces, addresses and ports are forwarded to which upstream,
/// and how. A plain value, complete after loading: every default is filled in.
struct ForwardRule {
  std::string name;
  Protocol protocol = Protocol::Tcp;
  std::vector<NetnsSelector> netns = {NetnsSelector{}};
  std::vector<ListenSpec> listen;
  UpstreamConfig upstream;

  // How listening sockets are made.
  std::string bind_device;
  bool freebind = false;
  int backlog = 4096;
  bool reuse_port = true;

  // How connections, sessions and associations are run. An absent Duration means `off`.
  std::optional<Duration> idle_timeout = Duration(3'600'000);
  Duration half_close_timeout{30'000};
  std::optional<Duration> keepalive = Duration(60'000);
  std::optional<Duration> user_timeout;
  bool nodelay = true;
  bool mptcp = false;
  std::string congestion;
  Duration session_timeout{60'000};
  std::uint32_t max_sessions = 65536;
  std::optional<ByteSize> receive_buffer;
  std::optional<ByteSize> send_buffer;
  std::optional<std::uint32_t> max_connections;
  ByteSize max_message{256 * 1024};
  bool accept_proxy = false;
  PerSourceLimit per_source;
  OnNetnsDelete on_netns_delete = OnNetnsDelete::Close;
  std::vector<IpNetwork> allow;
  std::vector<IpNetwork> deny;

  friend bool operator==(const ForwardRule&, const ForwardRule&) = default;
};

/// Whether the rule's `allow` and `deny` admit `client`: `deny` wins; with `allow`, everybody else
/// is denied.
bool admits(const ForwardRule& rule, const IpAddress& client);

}  // namespace nsrelay
