#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "nsrelay/telemetry/process_metrics.hpp"
#include "nsrelay/telemetry/traffic_table.hpp"
#include "nsrelay/telemetry/upstream_metrics.hpp"

namespace nsrelay {

/// How many listeners of one rule and namespace are in which state.
struct ListenerCounts {
  std::uint64_t listening = 0;
  std::uint64_t pending = 0;
  std::uint64_t draining = 0;  ///< closed, with something that still runs
};

/// How many namespaces that the configuration speaks of are in which state.
struct NetnsCounts {
  std::uint64_t present = 0;
  std::uint64_t absent = 0;
  std::uint64_t deleted = 0;  ///< nameless by now, with something that still runs
};

/// What happened since the start beside forwarding.
struct DaemonCounters {
  std::uint64_t reloads_ok = 0;
  std::uint64_t reloads_failed = 0;
  bool last_reload_failed = false;
  std::uint64_t log_records_dropped = 0;
};

/// Everything that /metrics tells, at one moment. The namespaces are called as in the log.
struct MetricsSnapshot {
  struct Traffic {
    TrafficKey key;
    TrafficCounters counters;
  };
  struct Listeners {
    TrafficKey key;
    ListenerCounts counts;
  };

  std::vector<Traffic> traffic;
  std::vector<Listeners> listeners;
  NetnsCounts netns;
  UpstreamMetrics upstreams;
  DaemonCounters daemon;
  ProcessMetrics process;
};

/// The page at /metrics, made piece by piece, so that thousands of namespaces do not hold up the
/// loop. What has not happened for a rule and namespace (a reason, a connect, a datagram of a
/// protocol without datagrams) has no sample.
class MetricsPage {
 public:
  explicit MetricsPage(MetricsSnapshot snapshot);

  /// Appends some 16 KiB more. False: that was the last of it.
  bool append_next(std::string& out);

 private:
  bool append_row(std::string& out);

  MetricsSnapshot snapshot_;
  std::vector<std::string> traffic_labels_;
  std::vector<std::string> listener_labels_;
  std::size_t family_ = 0;
  std::size_t row_ = 0;
};

}  // namespace nsrelay
