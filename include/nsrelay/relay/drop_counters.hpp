#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/telemetry/drop_reason.hpp"

namespace nsrelay {

/// How many datagrams a rule has dropped, by reason, and when a burst of drops begins.
class DropCounters {
 public:
  /// Counts. True: a burst begins with these. Drops within five seconds of the last of the same
  /// reason belong to its burst.
  bool add(DropReason reason, std::uint64_t datagrams, TimePoint now);

  [[nodiscard]] std::uint64_t total(DropReason reason) const { return of(reason).total; }

 private:
  struct Count {
    std::uint64_t total = 0;
    std::optional<TimePoint> last;
  };

  [[nodiscard]] const Count& of(DropReason reason) const {
    return counts_[static_cast<std::size_t>(reason)];
  }

  std::array<Count, kDropReasons> counts_;
};

}  // namespace nsrelay
