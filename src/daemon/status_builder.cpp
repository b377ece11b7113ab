#include "nsrelay/daemon/status_builder.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace nsrelay {
namespace {

/// What connections and listeners have in common: cookie, rule, listener's address. The same
/// namespace, address and protocol belong to one rule only.
using ListenerId = std::tuple<std::uint64_t, std::string_view, std::string_view>;

/// The connections of one listener.
struct Accepted {
  const ListenerInfo* info = nullptr;
  const ForwardRule* rule = nullptr;
  std::uint64_t count = 0;
};

/// Everything that is forwarded, counted by the listener that it came to. Valid until a connection
/// ends.
std::map<ListenerId, Accepted> count_by_listener(RelayContext& context) {
  // Most connections share their listener's description: only what is left is compared by value.
  std::vector<std::pair<const ListenerInfo*, const ForwardRule*>> all;
  all.reserve(context.connections().size());
  context.connections().for_each(
      [&](const Forwarded& one) { all.emplace_back(&one.listener(), &one.runtime().rule()); });
  std::sort(all.begin(), all.end());
  std::map<ListenerId, Accepted> counts;
  for (auto first = all.begin(); first != all.end();) {
    const auto end = std::find_if(first, all.end(), [&](const auto& one) { return one != *first; });
    const auto [info, rule] = *first;
    Accepted& accepted = counts[{info->cookie, rule->name, info->address}];
    accepted = {info, rule, accepted.count + static_cast<std::uint64_t>(end - first)};
    first = end;
  }
  return counts;
}

/// Listeners, gathered by namespace.
class NetnsList {
 public:
  explicit NetnsList(const NetnsRegistry& registry) : registry_(registry) {}

  /// `absent_netns` tells namespaces apart that have no identity.
  void add(std::uint64_t cookie, const std::string& absent_netns, ListenerStatus listener) {
    const auto [found, is_new] = places_.try_emplace({cookie, absent_netns}, list_.size());
    if (is_new)
      list_.push_back({listener.netns, cookie, state_of(cookie), {}});
    list_[found->second].listeners.push_back(std::move(listener));
  }

  [[nodiscard]] bool is_present(std::uint64_t cookie) const { return registry_.is_present(cookie); }

  /// The daemon's own first, then by name.
  std::vector<NetnsStatus> take() {
    const auto order = [](const NetnsStatus& one) {
      return std::tuple<bool, std::string_view, std::uint64_t>(one.name != "default", one.name,
                                                               one.cookie);
    };
    std::sort(list_.begin(), list_.end(),
              [&](const auto& a, const auto& b) { return order(a) < order(b); });
    return std::move(list_);
  }

 private:
  [[nodiscard]] NetnsState state_of(std::uint64_t cookie) const {
    if (cookie == 0)
      return NetnsState::Absent;
    return is_present(cookie) ? NetnsState::Present : NetnsState::Deleted;
  }

  const NetnsRegistry& registry_;
  std::map<std::pair<std::uint64_t, std::string>, std::size_t> places_;
  std::vector<NetnsStatus> list_;
};

ListenerStatus status_of(const Reconciler::ListenerView& view, std::uint64_t connections) {
  const DesiredListener& wanted = view.wanted;
  ListenerStatus status{.rule = wanted.rule->name,
                        .netns = wanted.netns->name,
                        .protocol = std::string(to_string(wanted.rule->protocol)),
                        .address = wanted.key.address,
                        .port = wanted.port,
                        .state = ListenerState::Listening,
                        .reason = view.is_open ? "" : view.reason,
                        .connections_active = connections};
  if (!view.is_open)
    status.state =
        view.is_drained && connections > 0 ? ListenerState::Draining : ListenerState::Pending;
  return status;
}

/// Of `0.0.0.0:8000`.
std::uint16_t port_of(std::string_view address) {
  std::uint16_t port = 0;
  std::from_chars(address.data() + address.rfind(':') + 1, address.data() + address.size(), port);
  return port;
}

/// Of a listener that nobody wants any more.
ListenerStatus status_of(const Accepted& accepted, bool is_present) {
  return {.rule = accepted.rule->name,
          .netns = accepted.info->netns,
          .protocol = std::string(to_string(accepted.rule->protocol)),
          .address = accepted.info->address,
          .port = port_of(accepted.info->address),
          .state = ListenerState::Draining,
          .reason = is_present ? "listener closed" : "namespace deleted",
          .connections_active = accepted.count};
}

TotalsStatus status_of(const TrafficTotals& totals) {
  return {totals.connections_active, totals.connections_total, totals.connections_failed,
          totals.bytes_received, totals.bytes_sent};
}

std::vector<UpstreamStatus> upstreams_of(const Reconciler& reconciler, const std::string& rule) {
  std::vector<UpstreamStatus> upstreams;
  reconciler.for_each_pool(rule, [&](const UpstreamPool& pool) {
    for (const TargetState& target : pool.targets())
      upstreams.push_back({target.text, pool.netns().name, target.health.is_up(),
                           target.spec.backup, target.spec.weight, target.active,
                           target.health.failures_total()});
  });
  return upstreams;
}

std::vector<RuleStatus> rules_of(const Config& config, const Reconciler& reconciler,
                                 const TrafficTable& traffic) {
  const auto totals = traffic.totals_by_rule();
  std::vector<RuleStatus> rules;
  for (const ForwardRule& rule : config.rules) {
    const auto found = totals.find(rule.name);
    rules.push_back({rule.name, std::string(to_string(rule.protocol)),
                     found == totals.end() ? TotalsStatus() : status_of(found->second),
                     upstreams_of(reconciler, rule.name)});
  }
  return rules;
}

class Snapshot final : public ConnectionSource {
 public:
  Snapshot(RelayContext& context, const ConnectionFilter& filter) : now_(context.loop().now()) {
    if (!filter.rule && !filter.netns)
      all_.reserve(context.connections().size());
    context.connections().for_each([&](const Forwarded& one) {
      const ForwardRule& rule = one.runtime().rule();
      if ((!filter.rule || *filter.rule == rule.name) &&
          (!filter.netns || *filter.netns == one.listener().netns))
        all_.push_back({rule.name, rule.protocol, one.status()});
    });
  }

  std::optional<ConnectionStatus> next() override {
    if (next_ == all_.size())
      return std::nullopt;
    const One& one = all_[next_++];
    return ConnectionStatus{.rule = one.rule,
                            .netns = one.status.listener->netns,
                            .protocol = std::string(to_string(one.protocol)),
                            .client = one.status.client.to_string(),
                            .listener = one.status.listener->address,
                            .upstream = one.status.upstream,
                            .upstream_netns = one.status.upstream_netns,
                            .age = std::chrono::duration_cast<Duration>(now_ - one.status.began),
                            .bytes_received = one.status.bytes_received,
                            .bytes_sent = one.status.bytes_sent};
  }

 private:
  struct One {
    std::string rule;
    Protocol protocol;
    ForwardedStatus status;
  };

  TimePoint now_;
  std::vector<One> all_;
  std::size_t next_ = 0;
};

}  // namespace

void add_forwarding(StatusReport& report, const Config& config, const Reconciler& reconciler,
                    const NetnsRegistry& registry, RelayContext& context) {
  report.totals = status_of(context.traffic().totals());
  report.rules = rules_of(config, reconciler, context.traffic());
  auto accepted = count_by_listener(context);
  NetnsList namespaces(registry);
  reconciler.for_each_listener([&](const Reconciler::ListenerView& view) {
    const DesiredListener& wanted = view.wanted;
    const auto found = accepted.find({wanted.key.cookie, wanted.rule->name, wanted.key.address});
    const std::uint64_t connections = found == accepted.end() ? 0 : found->second.count;
    if (found != accepted.end())
      accepted.erase(found);
    namespaces.add(wanted.key.cookie, wanted.key.absent_netns, status_of(view, connections));
  });
  for (const auto& [id, one] : accepted)
    namespaces.add(one.info->cookie, "", status_of(one, namespaces.is_present(one.info->cookie)));
  report.namespaces = namespaces.take();
}

std::unique_ptr<ConnectionSource> snapshot_connections(RelayContext& context,
                                                       const ConnectionFilter& filter) {
  return std::make_unique<Snapshot>(context, filter);
}

}  // namespace nsrelay
