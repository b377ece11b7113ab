#pragma once

#include <array>
#include <optional>

#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/telemetry/drop_reason.hpp"

namespace nsrelay {

/// Tells when a burst of dropped datagrams begins, which is worth a record in the log.
class DropBursts {
 public:
  /// To be called for every drop. True: a burst begins with it. Drops within five seconds of the
  /// last of the same reason belong to its burst.
  bool begins(DropReason reason, TimePoint now);

 private:
  std::array<std::optional<TimePoint>, kDropReasons> last_;
};

}  // namespace nsrelay
