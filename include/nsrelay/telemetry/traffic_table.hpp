#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/telemetry/traffic_counters.hpp"

namespace nsrelay {

/// What counters belong to: the labels of the metrics.
struct TrafficKey {
  std::string rule;
  std::string netns;  ///< as the log calls it
  Protocol protocol = Protocol::Tcp;

  friend auto operator<=>(const TrafficKey&, const TrafficKey&) = default;
};

/// Sums over counters. They never go backwards, but for those of what is active.
struct TrafficTotals {
  std::uint64_t connections_active = 0;
  std::uint64_t connections_total = 0;
  std::uint64_t connections_failed = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;

  TrafficTotals& operator+=(const TrafficTotals& other);
  friend bool operator==(const TrafficTotals&, const TrafficTotals&) = default;
};

TrafficTotals totals_of(const TrafficCounters& counters);

/// All counters of the daemon.
///
/// They are shared by those that count: listeners that are wanted, and what is forwarded. Because
/// they belong to the names of rule and namespace they outlive a change of the rule by a reload.
/// Once nobody counts any more, which is when a namespace is gone and nothing runs there, they go
/// too, so that namespaces that come and go do not add up; only their sums are kept.
class TrafficTable {
 public:
  struct Series {
    TrafficKey key;
    std::shared_ptr<const TrafficCounters> counters;
  };

  TrafficTable() = default;
  TrafficTable(const TrafficTable&) = delete;
  TrafficTable& operator=(const TrafficTable&) = delete;

  /// The counters of `key`, to be shared; new ones begin with zero.
  std::shared_ptr<TrafficCounters> counters_of(const TrafficKey& key);

  /// Lets go of those that nobody shares.
  void prune();

  /// Lets go of the sums that are kept of rules that are not in `rules`.
  void forget_rules_but(const std::set<std::string>& rules);

  /// All that are shared, in the order of their keys.
  [[nodiscard]] std::vector<Series> series() const;

  /// Since the start, of what is gone too.
  [[nodiscard]] TrafficTotals totals() const;

  /// The same for each rule that has counted and was not forgotten.
  [[nodiscard]] std::map<std::string, TrafficTotals> totals_by_rule() const;

 private:
  std::map<TrafficKey, std::shared_ptr<TrafficCounters>> series_;
  std::map<std::string, TrafficTotals> gone_by_rule_;
  TrafficTotals gone_;
};

}  // namespace nsrelay
