#include "nsrelay/relay/source_limiter.hpp"

#include "nsrelay/base/hash.hpp"

namespace nsrelay {
namespace {

constexpr int kLookedAt = 2;

}  // namespace

struct SourceLease::Source {
  SourceLimiter& limiter;
  IpAddress network;
  TokenBucket bucket;
  std::uint32_t active = 0;
  std::list<Source>::iterator place = {};
};

void SourceLease::release() {
  if (source_ != nullptr)
    source_->limiter.on_released(*std::exchange(source_, nullptr));
}

SourceLimiter::SourceLimiter(const PerSourceLimit& limit, std::size_t most)
    : limit_(limit), most_(most), by_network_(0, Hash{random_seed()}) {}

SourceLimiter::~SourceLimiter() = default;

std::size_t SourceLimiter::Hash::operator()(const IpAddress& address) const noexcept {
  return mix(seed, address);
}

std::optional<SourceLimiter::Refusal> SourceLimiter::admit(const IpAddress& client, TimePoint now,
                                                           SourceLease& lease) {
  Source& source = source_of(client, now);
  if (limit_.connections && source.active >= *limit_.connections)
    return Refusal::Connections;
  if (limit_.rate && !source.bucket.take(now))
    return Refusal::Rate;
  ++source.active;
  lease = SourceLease(source);
  return std::nullopt;
}

SourceLimiter::Source& SourceLimiter::source_of(const IpAddress& client, TimePoint now) {
  const IpAddress network = client.network(client.is_v6() ? limit_.prefix6 : limit_.prefix4);
  if (const auto known = by_network_.find(network); known != by_network_.end()) {
    sources_.splice(sources_.begin(), sources_, known->second);
    return sources_.front();
  }
  drop_oldest(now);
  sources_.push_front({*this, network, TokenBucket(limit_.rate.value_or(1), now)});
  sources_.front().place = sources_.begin();
  by_network_.emplace(network, sources_.begin());
  return sources_.front();
}

void SourceLimiter::drop_oldest(TimePoint now) {
  for (int i = 0; i < kLookedAt && !sources_.empty(); ++i) {
    const auto oldest = std::prev(sources_.end());
    if (oldest->active > 0)
      sources_.splice(sources_.begin(), sources_, oldest);  // it will not be looked at soon
    else if (sources_.size() >= most_ || oldest->bucket.is_full(now))
      drop(oldest);
  }
}

void SourceLimiter::drop(Sources::iterator source) {
  by_network_.erase(source->network);
  sources_.erase(source);
}

void SourceLimiter::on_released(Source& source) {
  if (--source.active == 0 && !limit_.rate)
    drop(source.place);
}

}  // namespace nsrelay
