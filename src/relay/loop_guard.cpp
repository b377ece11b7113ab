#include "nsrelay/relay/loop_guard.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "nsrelay/relay/forwarding_log.hpp"

namespace nsrelay {
namespace {

/// Something that is forwarded, or the newcomer: one client at one listener.
struct Visit {
  Forwarded* forwarded = nullptr;  ///< null: the newcomer
  const ListenerInfo* listener = nullptr;
  const RuleRuntime* runtime = nullptr;
  IpEndpoint peer;
  TimePoint began;
  Visit* before = nullptr;  ///< whose upstream the client is
  bool leads_on = false;    ///< its upstream is a client

  [[nodiscard]] Protocol protocol() const { return runtime->rule().protocol; }
};

/// From the newest to the oldest, each the client of the one before it.
using Chain = std::vector<Visit*>;

/// Finds the chains of connections each of which is the client of the next.
class ChainSearch {
 public:
  ChainSearch(ConnectionTable& connections, const Newcomer* newcomer, TimePoint now)
      : newcomer_(newcomer) {
    visits_.reserve(connections.size() + 1);  // they do not move
    upstreams_.reserve(connections.size());
    connections.for_each([this](Forwarded& one) { add(one); });
    if (newcomer != nullptr)
      visits_.push_back({.listener = &newcomer->listener,
                         .runtime = &newcomer->runtime,
                         .peer = newcomer->peer,
                         .began = now});
    std::sort(upstreams_.begin(), upstreams_.end(), is_before);
    for (Visit& visit : visits_)
      link(visit);
  }

  [[nodiscard]] std::vector<Chain> chains() {
    std::vector<Chain> found;
    for (Visit& newest : visits_) {
      if (newest.leads_on || newest.before == nullptr)
        continue;
      Chain& chain = found.emplace_back();
      for (Visit* one = &newest; one != nullptr; one = one->before)
        chain.push_back(one);
    }
    return found;
  }

 private:
  using Upstream = std::pair<Place, Visit*>;

  static bool is_before(const Upstream& one, const Upstream& other) {
    return one.first < other.first;
  }

  void add(Forwarded& one) {
    visits_.push_back({.forwarded = &one,
                       .listener = &one.listener(),
                       .runtime = &one.runtime(),
                       .peer = one.peer(),
                       .began = one.began()});
    Visit& visit = visits_.back();
    if (const auto end = one.upstream_local())
      upstreams_.emplace_back(place_of(visit.protocol(), *end), &visit);
  }

  /// Finds out whose upstream the client of `visit` is: of its own namespace first.
  void link(Visit& visit) {
    const Upstream wanted{place_of(visit.protocol(), visit.peer), nullptr};
    const auto [first, last] =
        std::equal_range(upstreams_.begin(), upstreams_.end(), wanted, is_before);
    for (const bool same_netns : {true, false})
      for (auto one = first; one != last && visit.before == nullptr; ++one)
        if (is_upstream_of(*one->second, visit, same_netns))
          visit.before = one->second;
    if (visit.before != nullptr)
      visit.before->leads_on = true;
  }

  /// Whether the upstream socket of `before` is the client of `visit`.
  [[nodiscard]] bool is_upstream_of(const Visit& before, const Visit& visit,
                                    bool same_netns) const {
    const Forwarded& from = *before.forwarded;
    if (before.leads_on || (from.upstream_cookie() == visit.listener->cookie) != same_netns)
      return false;
    const Proof needed = needed_proof(visit.protocol(), {from.upstream_cookie(), before.began},
                                      {visit.listener->cookie, visit.began}, visit.peer.ip);
    if (needed == Proof::Impossible || needed == Proof::None)
      return needed == Proof::None;
    return is_proved(
        needed, from.upstream_ends(), visit.peer,
        visit.forwarded != nullptr ? visit.forwarded->client_ends().local : newcomer_->local);
  }

  const Newcomer* newcomer_;
  std::vector<Visit> visits_;
  std::vector<Upstream> upstreams_;
};

/// What of `chain` came to the listener that it visits most, the newest one's where several are
/// equal; nothing where that is no circle. The newest first.
Chain circle_in(const Chain& chain) {
  std::map<std::tuple<std::uint64_t, std::string_view, Protocol>, Chain> by_listener;
  for (Visit* one : chain)
    by_listener[{one->listener->cookie, one->listener->address, one->protocol()}].push_back(one);
  Chain most;
  for (auto& [listener, visits] : by_listener)
    if (visits.size() > most.size() ||
        (visits.size() == most.size() && visits.front() == chain.front()))
      most = std::move(visits);
  return most.size() >= kMostReturns ? most : Chain();
}

}  // namespace

bool LoopGuard::breaks_loop(const Newcomer& newcomer, TimePoint now) {
  return look(&newcomer, now);
}

void LoopGuard::look_at_limit(TimePoint now) {
  if (connections_.size() < kFirstLook || now - last_limit_ < kLimitPause)
    return;
  last_limit_ = now;
  look(nullptr, now);
}

bool LoopGuard::look(const Newcomer* newcomer, TimePoint now) {
  const std::size_t looked_at = connections_.size();
  bool refused = false;
  bool found = false;
  ChainSearch search(connections_, newcomer, now);
  for (const Chain& chain : search.chains()) {
    const Chain circle = circle_in(chain);
    if (circle.empty())
      continue;
    found = true;
    refused |= chain.front()->forwarded == nullptr;
    const Visit& newest = *circle.front();
    const Visit& from = newest.before != nullptr ? *newest.before : newest;
    log_forwarding_loop(log_, *newest.runtime, *newest.listener, newest.peer,
                        from.runtime->rule().name);
    for (const Visit* one : circle)
      if (one->forwarded != nullptr)
        one->forwarded->end(Reason::ForwardingLoop);
  }
  const std::size_t grown = found ? connections_.size() + looked_at / 2 : 2 * looked_at;
  next_look_ = std::max(kFirstLook, grown);
  return refused;
}

}  // namespace nsrelay
