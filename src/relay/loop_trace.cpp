#include "nsrelay/relay/loop_trace.hpp"

#include <utility>

#include "nsrelay/base/hash.hpp"
#include "nsrelay/relay/rule_runtime.hpp"

namespace nsrelay {

LoopTrace::LoopTrace() : upstreams_(0, Hash{random_seed()}) {}

std::size_t LoopTrace::Hash::operator()(const Place& place) const noexcept {
  return mix(mix(seed, place.ip), std::uint64_t{place.port});
}

void LoopTrace::count_client() {
  clients_ = (clients_ + 1) % kPeriod;
  if (!is_following())
    upstreams_.clear();
}

bool LoopTrace::may_know(Protocol protocol, const IpEndpoint& peer) {
  followed_ = {};
  return !upstreams_.empty() && upstreams_.contains(place_of(protocol, peer));
}

std::optional<std::string> LoopTrace::follow(const Newcomer& newcomer, TimePoint now) {
  const Upstream* origin = origin_of(newcomer, now);
  if (origin == nullptr)
    return std::nullopt;
  followed_ = origin->way;
  if (newcomer.listener.cookie != followed_.netns ||
      newcomer.listener.address != followed_.listener)
    return std::nullopt;
  return ++followed_.visits >= kMostReturns ? std::optional(origin->rule) : std::nullopt;
}

const LoopTrace::Upstream* LoopTrace::origin_of(const Newcomer& newcomer, TimePoint now) const {
  const Protocol protocol = newcomer.runtime.rule().protocol;
  const Appearance client{newcomer.listener.cookie, now};
  const auto [first, last] = upstreams_.equal_range(place_of(protocol, newcomer.peer));
  for (auto one = first; one != last; ++one) {
    const Upstream& upstream = one->second;
    const Proof needed = needed_proof(protocol, upstream.appearance, client, newcomer.peer.ip);
    if (is_proved(needed, upstream.ends, newcomer.peer, newcomer.local))
      return &upstream;
  }
  return nullptr;
}

void LoopTrace::note(const Forwarded& started) {
  if (!is_following())
    return;
  SocketEnds ends = started.upstream_ends();
  if (ends.local.empty())
    return;
  const ListenerInfo& listener = started.listener();
  if (followed_.visits == 0)
    followed_ = {listener.cookie, listener.address, 1};
  const ForwardRule& rule = started.runtime().rule();
  const Place place = place_of(rule.protocol, ends.local.front());
  upstreams_.emplace(
      place,
      Upstream{
          {started.upstream_cookie(), started.began()}, std::move(ends), followed_, rule.name});
}

}  // namespace nsrelay
