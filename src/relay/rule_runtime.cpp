#include "nsrelay/relay/rule_runtime.hpp"

#include "nsrelay/upstream/target.hpp"

namespace nsrelay {

RuleRuntime::RuleRuntime(ForwardRule rule) : rule_(std::move(rule)) {
  if (rule_.per_source.connections || rule_.per_source.rate)
    limiter_ = std::make_unique<SourceLimiter>(rule_.per_source);
}

std::optional<Reason> RuleRuntime::refuses(const IpAddress& client, TimePoint now,
                                           SourceLease& lease) {
  if (!admits(rule_, client))
    return Reason::Denied;
  const auto refusal = limiter_ ? limiter_->admit(client, now, lease) : std::nullopt;
  if (!refusal)
    return std::nullopt;
  return *refusal == SourceLimiter::Refusal::Rate ? Reason::PerSourceRate
                                                  : Reason::PerSourceConnections;
}

void RuleRuntime::connection_began(TrafficCounters& traffic) {
  ++active_;
  ++traffic.connections_active;
  ++traffic.connections_total;
}

void RuleRuntime::connection_ended(TrafficCounters& traffic, Reason reason) {
  --active_;
  --traffic.connections_active;
  if (is_failure(reason))
    ++traffic.connections_failed[reason];
  std::vector<Waiting> waiting;
  waiting.swap(waiting_);
  for (const Waiting& one : waiting)
    one.callback();
}

void RuleRuntime::when_room(Delegate<void()> callback, const void* owner) {
  no_longer(owner);
  waiting_.push_back({owner, callback});
}

void RuleRuntime::no_longer(const void* owner) {
  std::erase_if(waiting_, [&](const Waiting& one) { return one.owner == owner; });
}

void RuleRuntime::prune_pools() {
  std::erase_if(pools_, [](const auto& one) { return one.second.use_count() == 1; });
}

void RuleRuntime::retire() {
  for (auto& [key, pool] : pools_)
    pool->stop_probing();
}

void RuleRuntime::leave_gone_netns() {
  for (auto& [key, pool] : pools_)
    pool->leave_gone_netns();
}

/// Whether `pool` connects from what the name of `listener_netns` meant before it was made again,
/// which stays absent. Connections that run go on with it.
bool RuleRuntime::is_of_former_entry(const UpstreamPool& pool,
                                     const NetnsEntry& listener_netns) const {
  return rule_.upstream.netns.kind == NetnsSelector::Kind::Same && &pool.netns() != &listener_netns;
}

std::string RuleRuntime::pool_key(const NetnsEntry& listener_netns) const {
  const bool own =
      rule_.upstream.netns.kind == NetnsSelector::Kind::Same || depends_on_netns(rule_.upstream);
  return own ? listener_netns.source : std::string();
}

}  // namespace nsrelay
