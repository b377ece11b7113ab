#include "nsrelay/relay/drop_bursts.hpp"

#include <utility>

namespace nsrelay {
namespace {

constexpr auto kBurst = std::chrono::seconds(5);

}  // namespace

bool DropBursts::begins(DropReason reason, TimePoint now) {
  const auto last = std::exchange(last_[static_cast<std::size_t>(reason)], now);
  return !last || now - *last > kBurst;
}

}  // namespace nsrelay
