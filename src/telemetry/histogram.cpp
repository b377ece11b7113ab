#include "nsrelay/telemetry/histogram.hpp"

#include <algorithm>
#include <numeric>

namespace nsrelay {

void DurationHistogram::add(std::chrono::nanoseconds duration) {
  const auto* bucket = std::lower_bound(kBounds.begin(), kBounds.end(), duration);
  ++counts_[static_cast<std::size_t>(bucket - kBounds.begin())];
  sum_ += duration;
}

std::uint64_t DurationHistogram::count_up_to(std::size_t bucket) const {
  const auto* end = counts_.begin() + bucket + 1;
  return std::accumulate(counts_.begin(), end, std::uint64_t{0});
}

}  // namespace nsrelay
