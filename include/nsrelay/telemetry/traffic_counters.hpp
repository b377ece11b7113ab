#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "nsrelay/telemetry/drop_reason.hpp"
#include "nsrelay/telemetry/histogram.hpp"
#include "nsrelay/telemetry/pause_reason.hpp"
#include "nsrelay/telemetry/reason.hpp"

namespace nsrelay {

/// One count for each value of an enumeration.
template <class Enum, std::size_t Size>
class CountsOf {
 public:
  std::uint64_t& operator[](Enum value) { return counts_[static_cast<std::size_t>(value)]; }
  std::uint64_t operator[](Enum value) const { return counts_[static_cast<std::size_t>(value)]; }

  [[nodiscard]] std::uint64_t sum() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : counts_)
      sum += count;
    return sum;
  }

 private:
  std::array<std::uint64_t, Size> counts_{};
};

/// What was forwarded by one rule for the clients of one namespace: plain integers, which whoever
/// forwards adds to as it happens. Bytes and datagrams are those that were read from one side to be
/// given to the other.
struct TrafficCounters {
  std::uint64_t connections_total = 0;   ///< that were begun; sessions and associations too
  std::uint64_t connections_active = 0;  ///< that have not ended
  CountsOf<Reason, kReasons> connections_failed;  ///< by a reason that is_failure()
  std::uint64_t bytes_received = 0;               ///< from clients
  std::uint64_t bytes_sent = 0;                   ///< to clients
  std::uint64_t datagrams_received = 0;
  std::uint64_t datagrams_sent = 0;
  CountsOf<DropReason, kDropReasons> datagrams_dropped;
  CountsOf<PauseReason, kPauseReasons> accept_paused;
  /// From accepting the client to a connected upstream.
  DurationHistogram connect_time;
};

}  // namespace nsrelay
