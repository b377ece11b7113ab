#include "nsrelay/relay/drop_counters.hpp"

namespace nsrelay {
namespace {

constexpr auto kBurst = std::chrono::seconds(5);

}  // namespace

bool DropCounters::add(DropReason reason, std::uint64_t datagrams, TimePoint now) {
  Count& count = counts_[static_cast<std::size_t>(reason)];
  const bool begins = !count.last || now - *count.last > kBurst;
  count.total += datagrams;
  count.last = now;
  return begins;
}

}  // namespace nsrelay
