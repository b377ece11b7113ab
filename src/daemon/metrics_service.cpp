#include "nsrelay/daemon/metrics_service.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <set>
#include <utility>

#include "nsrelay/netns/local_ports.hpp"

namespace nsrelay {
namespace {

struct Counts {
  ListenerCounts counts;
  std::uint64_t drained = 0;  ///< closed by `nsrelay drain`
};

std::vector<MetricsSnapshot::Listeners> count_listeners(const Reconciler& reconciler) {
  // Thousands of listeners: names are compared once for a namespace, not for each.
  std::map<std::pair<const ForwardRule*, const NetnsEntry*>, Counts> by_pointer;
  reconciler.for_each_listener([&](const Reconciler::ListenerView& view) {
    Counts& of = by_pointer[{view.wanted.rule, view.wanted.netns.get()}];
    ++(view.is_open ? of.counts.listening : view.is_drained ? of.drained : of.counts.pending);
  });
  std::map<TrafficKey, Counts> by_name;  // two namespaces may have one name
  for (const auto& [whose, of] : by_pointer) {
    const auto& [rule, netns] = whose;
    Counts& sum = by_name[{rule->name, netns->name, rule->protocol}];
    sum.counts.listening += of.counts.listening;
    sum.counts.pending += of.counts.pending;
    sum.drained += of.drained;
  }
  for (const Reconciler::ClosedListener& closed : reconciler.closed_listeners())
    if (!closed.info.expired())
      ++by_name[closed.key].counts.draining;
  std::vector<MetricsSnapshot::Listeners> all;
  all.reserve(by_name.size());
  for (auto& [key, of] : by_name) {
    // Once nothing runs any more, a drained listener is one that is not open.
    of.counts.pending += of.drained - std::min(of.drained, of.counts.draining);
    all.push_back({key, of.counts});
  }
  return all;
}

/// Of namespaces in which a listener is wanted, or was and has something running.
NetnsCounts count_namespaces(const Reconciler& reconciler, const NetnsRegistry& registry) {
  NetnsCounts counts;
  const ListenerKey* last = nullptr;
  reconciler.for_each_listener([&](const Reconciler::ListenerView& view) {
    const ListenerKey& key = view.wanted.key;  // in the order of their namespaces
    const bool is_same =
        last != nullptr && last->cookie == key.cookie && last->absent_netns == key.absent_netns;
    if (!is_same)
      ++(key.cookie != 0 ? counts.present : counts.absent);
    last = &key;
  });
  std::set<std::uint64_t> deleted;
  for (const Reconciler::ClosedListener& closed : reconciler.closed_listeners())
    if (const auto info = closed.info.lock(); info && !registry.is_present(info->cookie))
      deleted.insert(info->cookie);
  counts.deleted = deleted.size();
  return counts;
}

template <class Rows>
auto values_of(Rows rows) {
  std::vector<typename Rows::mapped_type> values;
  for (auto& [key, value] : rows)
    values.push_back(std::move(value));
  return values;
}

/// Pools of several namespaces may have a target in common: they count together.
UpstreamMetrics measure_upstreams(const Reconciler& reconciler) {
  std::map<std::array<std::string, 3>, UpstreamMetrics::Target> targets;
  std::map<std::array<std::string, 4>, UpstreamMetrics::PortsInUse> in_use;
  std::map<std::array<std::string, 2>, UpstreamMetrics::Ports> ports;
  reconciler.for_each_pool([&](const UpstreamPool& pool) {
    const std::string& rule = pool.rule_name();
    const std::string& netns = pool.netns().name;
    for (const TargetState& target : pool.targets()) {
      auto& sum = targets[{rule, netns, target.text}];
      sum = {rule,
             netns,
             target.text,
             sum.is_up && target.health.is_up(),
             sum.connections + target.active,
             sum.failures + target.health.failures_total()};
    }
    pool.sources().for_each_use([&](const SourceUse& use) {
      const std::string source = use.pair.source.to_string();
      const std::string target = use.pair.target.to_string();
      auto& sum = in_use[{rule, netns, source, target}];
      sum = {rule, netns, source, target, sum.in_use + use.in_use};
    });
    auto& sum = ports[{rule, netns}];
    sum = {rule, netns, sum.exhausted + pool.sources().exhausted_total(), sum.available};
    if (sum.available == 0 && !pool.sources().empty() && pool.netns().netns)
      sum.available = count_local_ports(*pool.netns().netns).value_or(0);
  });
  return {values_of(std::move(targets)), values_of(std::move(in_use)), values_of(std::move(ports))};
}

}  // namespace

Result<void> MetricsService::follow(const Config& config) {
  if (!config.metrics_listen) {
    server_.reset();
    return {};
  }
  if (server_ && server_->listen() == *config.metrics_listen)
    return {};
  const auto serve_at = [this](const ListenSpec& listen) {
    return MetricsServer::create(context_.loop(), listen, [this] { return snapshot(); });
  };
  auto made = serve_at(*config.metrics_listen);
  // The former one may be what is in the way: 127.0.0.1:9180 becomes *:9180.
  if (!made && made.error().number() == EADDRINUSE && server_) {
    const ListenSpec former = std::exchange(server_, nullptr)->listen();
    made = serve_at(*config.metrics_listen);
    if (!made) {
      if (auto restored = serve_at(former))
        server_ = *std::move(restored);
    }
  }
  if (!made)
    return std::move(made).error();
  server_ = *std::move(made);
  return {};
}

void MetricsService::count_reload(Reload result) {
  const bool failed = result == Reload::Failed;
  ++(failed ? counters_.reloads_failed : counters_.reloads_ok);
  counters_.last_reload_failed = failed;
}

MetricsSnapshot MetricsService::snapshot() const {
  MetricsSnapshot snapshot;
  std::vector<TrafficTable::Series> series = context_.traffic().series();
  snapshot.traffic.reserve(series.size());
  for (TrafficTable::Series& one : series)
    snapshot.traffic.push_back({std::move(one.key), *one.counters});
  snapshot.listeners = count_listeners(reconciler_);
  snapshot.netns = count_namespaces(reconciler_, registry_);
  snapshot.upstreams = measure_upstreams(reconciler_);
  snapshot.daemon = counters_;
  snapshot.daemon.log_records_dropped = context_.log().dropped();
  snapshot.process = read_process_metrics();
  return snapshot;
}

}  // namespace nsrelay
