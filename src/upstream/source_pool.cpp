#include "nsrelay/upstream/source_pool.hpp"

#include <arpa/inet.h>

#include <cstring>

#include "nsrelay/base/hash.hpp"

namespace nsrelay {
namespace {

std::size_t addresses_in(const IpNetwork& network) {
  const int free_bits = (network.address().is_v6() ? 128 : 32) - network.prefix_length();
  return std::size_t{1} << free_bits;  // the configuration allows 65536 addresses at most
}

/// The address `index` places behind the network's first. `index` is below 2^32.
IpAddress nth_address(const IpNetwork& network, std::size_t index) {
  in6_addr raw = network.address().v6();
  const std::size_t last_word = network.address().is_v6() ? 12 : 0;
  std::uint32_t word = 0;
  std::memcpy(&word, &raw.s6_addr[last_word], sizeof word);
  word = htonl(ntohl(word) + static_cast<std::uint32_t>(index));
  std::memcpy(&raw.s6_addr[last_word], &word, sizeof word);
  if (network.address().is_v6())
    return IpAddress(raw);
  in_addr v4;
  std::memcpy(&v4, &word, sizeof v4);
  return IpAddress(v4);
}

}  // namespace

std::size_t SourcePool::size(bool v6) const {
  std::size_t total = 0;
  for (const IpNetwork& network : networks_)
    if (network.address().is_v6() == v6)
      total += addresses_in(network);
  return total;
}

std::optional<IpAddress> SourcePool::next(bool v6) {
  const std::size_t total = size(v6);
  if (total == 0)
    return std::nullopt;
  std::size_t& turn = v6 ? turn_v6_ : turn_v4_;
  std::size_t index = turn++ % total;
  for (const IpNetwork& network : networks_) {
    if (network.address().is_v6() != v6)
      continue;
    if (index < addresses_in(network))
      return nth_address(network, index);
    index -= addresses_in(network);
  }
  return std::nullopt;
}

std::optional<IpAddress> SourcePool::next_usable(const IpEndpoint& target, TimePoint now,
                                                 bool with_absent) {
  const bool v6 = target.ip.is_v6();
  for (std::size_t i = size(v6); i > 0; --i) {
    const auto source = next(v6);
    if (!is_full({*source, target}, now) && (with_absent || !is_absent(*source, now)))
      return source;
  }
  return std::nullopt;
}

bool SourcePool::is_full(const SourceAndTarget& pair, TimePoint now) const {
  const auto found = uses_.find(pair);
  return found != uses_.end() && now < found->second.full_until;
}

bool SourcePool::is_absent(const IpAddress& source, TimePoint now) const {
  const auto found = absent_since_.find(source);
  return found != absent_since_.end() && now < found->second + kAbsentPause;
}

SourceUse* SourcePool::take(const SourceAndTarget& pair) {
  absent_since_.erase(pair.source);
  SourceUse& use = uses_[pair];
  use.pair = pair;
  ++use.in_use;
  return &use;
}

void SourcePool::give_back(SourceUse* use) {
  use->full_until = {};
  if (--use->in_use == 0)
    uses_.erase(SourceAndTarget(use->pair));
}

/// Where all its ports are somebody else's nothing is kept: who asks next finds out again.
void SourcePool::note_full(const SourceAndTarget& pair, TimePoint now) {
  if (const auto found = uses_.find(pair); found != uses_.end())
    found->second.full_until = now + kFullPause;
}

std::size_t SourcePool::Hash::operator()(const SourceAndTarget& pair) const noexcept {
  return mix(mix(mix(0, pair.source), pair.target.ip), std::uint64_t{pair.target.port});
}

}  // namespace nsrelay
