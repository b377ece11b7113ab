#include "nsrelay/telemetry/traffic_table.hpp"

namespace nsrelay {

TrafficTotals& TrafficTotals::operator+=(const TrafficTotals& other) {
  connections_active += other.connections_active;
  connections_total += other.connections_total;
  connections_failed += other.connections_failed;
  bytes_received += other.bytes_received;
  bytes_sent += other.bytes_sent;
  return *this;
}

TrafficTotals totals_of(const TrafficCounters& counters) {
  return {counters.connections_active, counters.connections_total,
          counters.connections_failed.sum(), counters.bytes_received, counters.bytes_sent};
}

std::shared_ptr<TrafficCounters> TrafficTable::counters_of(const TrafficKey& key) {
  std::shared_ptr<TrafficCounters>& counters = series_[key];
  if (!counters)
    counters = std::make_shared<TrafficCounters>();
  return counters;
}

void TrafficTable::prune() {
  std::erase_if(series_, [this](const auto& one) {
    if (one.second.use_count() > 1)
      return false;
    const TrafficTotals last = totals_of(*one.second);
    gone_ += last;
    gone_by_rule_[one.first.rule] += last;
    return true;
  });
}

void TrafficTable::forget_rules_but(const std::set<std::string>& rules) {
  std::erase_if(gone_by_rule_, [&](const auto& one) { return !rules.contains(one.first); });
}

std::vector<TrafficTable::Series> TrafficTable::series() const {
  std::vector<Series> all;
  all.reserve(series_.size());
  for (const auto& [key, counters] : series_)
    if (counters.use_count() > 1)
      all.push_back({key, counters});
  return all;
}

TrafficTotals TrafficTable::totals() const {
  TrafficTotals totals = gone_;
  for (const auto& [key, counters] : series_)
    totals += totals_of(*counters);
  return totals;
}

std::map<std::string, TrafficTotals> TrafficTable::totals_by_rule() const {
  std::map<std::string, TrafficTotals> totals = gone_by_rule_;
  for (const auto& [key, counters] : series_)
    totals[key.rule] += totals_of(*counters);
  return totals;
}

}  // namespace nsrelay
