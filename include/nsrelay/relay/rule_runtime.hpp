#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nsrelay/base/delegate.hpp"
#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/netns/netns_registry.hpp"
#include "nsrelay/relay/drop_bursts.hpp"
#include "nsrelay/relay/source_limiter.hpp"
#include "nsrelay/telemetry/reason.hpp"
#include "nsrelay/telemetry/traffic_counters.hpp"
#include "nsrelay/upstream/upstream_pool.hpp"

namespace nsrelay {

/// A rule at work: what its listeners and connections share. Outlives all of them. A rule that
/// changes by a reload gets a new one; connections go on under the one that they began with.
class RuleRuntime {
 public:
  explicit RuleRuntime(ForwardRule rule);
  RuleRuntime(const RuleRuntime&) = delete;
  RuleRuntime& operator=(const RuleRuntime&) = delete;

  [[nodiscard]] const ForwardRule& rule() const { return rule_; }
  DropBursts& drop_bursts() { return drop_bursts_; }
  [[nodiscard]] std::uint32_t active() const { return active_; }

  /// Whether `max_connections`, or `max_sessions` for UDP, admits one more.
  [[nodiscard]] bool has_room() const {
    if (rule_.protocol == Protocol::Udp)
      return active_ < rule_.max_sessions;
    return !rule_.max_connections || active_ < *rule_.max_connections;
  }

  /// Whether `client` is served: by `allow`, `deny` and `per_source`. If not, the reason; if so,
  /// `lease` counts it.
  std::optional<Reason> refuses(const IpAddress& client, TimePoint now, SourceLease& lease);

  /// One more runs, which `traffic` counts too.
  void connection_began(TrafficCounters& traffic);

  /// One fewer. Also tells, once, everybody who called when_room().
  void connection_ended(TrafficCounters& traffic, Reason reason);

  /// `callback` is called when a connection has ended. Call no_longer() before it dies.
  void when_room(Delegate<void()> callback, const void* owner);
  void no_longer(const void* owner);

  /// The pool for the listeners of one namespace; made by `make` when it is the first time. One for
  /// all namespaces unless a target contains `{netns}` or connects from the `same` namespace.
  template <class Make>
  std::shared_ptr<UpstreamPool> pool_for(const NetnsEntry& listener_netns, Make make) {
    auto& pool = pools_[pool_key(listener_netns)];
    if (pool && is_of_former_entry(*pool, listener_netns)) {
      pool->stop_probing();
      pool.reset();
    }
    if (!pool)
      pool = make();
    return pool;
  }

  /// Calls `visit` with every pool there is at present.
  template <class Visit>
  void for_each_pool(Visit visit) const {
    for (const auto& [key, pool] : pools_)
      visit(std::as_const(*pool));
  }

  /// Lets go of pools that no listener and no connection uses: of namespaces that are gone.
  void prune_pools();

  /// The rule is another one now, or gone: no listener uses it any more, connections may.
  void retire();

  /// Lets go of namespaces that are gone and that only a question for a name still uses.
  void leave_gone_netns();

 private:
  struct Waiting {
    const void* owner;
    Delegate<void()> callback;
  };

  [[nodiscard]] std::string pool_key(const NetnsEntry& listener_netns) const;
  [[nodiscard]] bool is_of_former_entry(const UpstreamPool& pool,
                                        const NetnsEntry& listener_netns) const;

  const ForwardRule rule_;
  std::unique_ptr<SourceLimiter> limiter_;  ///< where the rule has `per_source`
  DropBursts drop_bursts_;
  std::uint32_t active_ = 0;
  std::map<std::string, std::shared_ptr<UpstreamPool>> pools_;
  std::vector<Waiting> waiting_;
};

}  // namespace nsrelay
