#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nsrelay/base/duration.hpp"

// What the control socket tells, as plain data. docs/control.md describes each field.

namespace nsrelay {

struct TotalsStatus {
  std::uint64_t connections_active = 0;
  std::uint64_t connections_total = 0;
  std::uint64_t connections_failed = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
};

/// One target of a rule; each namespace has its own where a target contains `{netns}` or is
/// connected to from the `same` namespace.
struct UpstreamStatus {
  std::string target;  ///< as written, `{netns}` replaced
  std::string netns;   ///< that it is connected to from
  bool is_up = true;
  bool is_backup = false;
  std::uint32_t weight = 1;
  std::uint64_t connections_active = 0;
  std::uint64_t failures = 0;
};

struct RuleStatus {
  std::string name;
  std::string protocol;
  TotalsStatus totals;
  std::vector<UpstreamStatus> upstreams{};
};

enum class ListenerState : std::uint8_t { Listening, Pending, Draining };

struct ListenerStatus {
  std::string rule;
  std::string netns;
  std::string protocol;
  std::string address;  ///< `0.0.0.0:8000`
  std::uint16_t port = 0;
  ListenerState state = ListenerState::Listening;
  std::string reason{};  ///< why it is not listening; else empty
  std::uint64_t connections_active = 0;
};

enum class NetnsState : std::uint8_t { Present, Absent, Deleted };

struct NetnsStatus {
  std::string name;
  std::uint64_t cookie = 0;  ///< 0: absent
  NetnsState state = NetnsState::Present;
  std::vector<ListenerStatus> listeners;
};

struct StatusReport {
  std::string version;
  int pid = 0;
  std::string started;  ///< UTC, `2026-01-31T12:00:00Z`
  bool stopping = false;
  std::string config_file;
  std::string config_loaded;  ///< UTC
  std::size_t config_rules = 0;
  TotalsStatus totals;
  std::vector<RuleStatus> rules;
  std::vector<NetnsStatus> namespaces;
};

struct ConnectionStatus {
  std::string rule;
  std::string netns;
  std::string protocol;
  std::string client;
  std::string listener;
  std::string upstream;  ///< empty while none is connected
  std::string upstream_netns;
  Duration age{0};
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
};

/// Which connections are asked for. Absent: any.
struct ConnectionFilter {
  std::optional<std::string> rule;
  std::optional<std::string> netns;
};

/// The connections of one moment, one after the other, so that they need not be written at once.
class ConnectionSource {
 public:
  ConnectionSource() = default;
  ConnectionSource(const ConnectionSource&) = delete;
  ConnectionSource& operator=(const ConnectionSource&) = delete;
  virtual ~ConnectionSource() = default;

  /// Nothing: that was the last.
  virtual std::optional<ConnectionStatus> next() = 0;
};

struct ReloadOutcome {
  /// Empty: the new configuration is in force. Else it is not, and these say why.
  std::vector<std::string> faults;
  std::size_t opened = 0;
  std::size_t closed = 0;
  std::size_t changed = 0;
};

/// Where to stop accepting: in a namespace or under a rule, exactly one of them.
struct DrainRequest {
  std::optional<std::string> netns;
  std::optional<std::string> rule;
  std::optional<Duration> timeout;  ///< absent: `drain_timeout` of the configuration
};

struct DrainOutcome {
  enum class Result : std::uint8_t {
    Done,
    Unknown,      ///< no such namespace or rule
    Interrupted,  ///< a reload has opened the listeners again
    Stopping,     ///< the daemon drains everything already
  };
  Result result = Result::Done;
  std::size_t listeners = 0;  ///< closed by it
  std::size_t finished = 0;   ///< connections that ended by themselves
  std::size_t ended = 0;      ///< connections that were closed when the time was over
};

}  // namespace nsrelay
