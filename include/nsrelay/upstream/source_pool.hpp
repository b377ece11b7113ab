#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "nsrelay/base/duration.hpp"
#include "nsrelay/base/ip_address.hpp"
#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/net/socket_address.hpp"

namespace nsrelay {

/// One source address and one target: a connection between them takes one of the source's ports.
struct SourceAndTarget {
  IpAddress source;
  IpEndpoint target;

  friend bool operator==(const SourceAndTarget&, const SourceAndTarget&) = default;
};

/// How far the ports of a source address towards a target are used up.
struct SourceUse {
  SourceAndTarget pair;
  std::uint32_t in_use = 0;   ///< connections that were made from there and are not over
  TimePoint full_until = {};  ///< no port was left shortly before
};

/// The addresses to connect from (`source`), given out in turn. Every address of a network counts,
/// its first and last too: they are ordinary addresses where they are configured.
///
/// Theory of operation. The kernel chooses the port; that none is left shows when it is asked,
/// which is expensive just then: it looks at every port. So a pair that was full is left out for a
/// moment, until a connection of it ends at the latest, and an address that is not configured for
/// ten seconds, unless nothing else is left. Ports of connections in TIME_WAIT are not known here.
class SourcePool {
 public:
  static constexpr Duration kFullPause{100};
  static constexpr Duration kAbsentPause{10'000};

  explicit SourcePool(const std::vector<IpNetwork>& networks) : networks_(networks) {}

  /// No `source` in the rule: the kernel chooses.
  [[nodiscard]] bool empty() const { return networks_.empty(); }

  /// How many addresses there are of a family.
  [[nodiscard]] std::size_t size(bool v6) const;

  /// The next address of the family in turn; nothing where there is none.
  std::optional<IpAddress> next(bool v6);

  /// The next one of the target's family that may have a port left; nothing where none may. Those
  /// that were absent shortly before count only where `with_absent`.
  std::optional<IpAddress> next_usable(const IpEndpoint& target, TimePoint now, bool with_absent);

  /// A connection begins. The result is for give_back(), until when it stays where it is.
  SourceUse* take(const SourceAndTarget& pair);
  void give_back(SourceUse* use);

  /// No port was left.
  void note_full(const SourceAndTarget& pair, TimePoint now);
  /// The address is not configured.
  void note_absent(const IpAddress& source, TimePoint now) { absent_since_[source] = now; }

  /// A connection found no port, from whichever address.
  void count_exhausted() { ++exhausted_total_; }
  [[nodiscard]] std::uint64_t exhausted_total() const { return exhausted_total_; }

  /// Calls `visit` with every SourceUse.
  template <class Visit>
  void for_each_use(Visit visit) const {
    for (const auto& [pair, use] : uses_)
      visit(use);
  }

 private:
  struct Hash {
    std::size_t operator()(const SourceAndTarget& pair) const noexcept;
  };

  [[nodiscard]] bool is_full(const SourceAndTarget& pair, TimePoint now) const;
  [[nodiscard]] bool is_absent(const IpAddress& source, TimePoint now) const;

  std::vector<IpNetwork> networks_;
  std::size_t turn_v4_ = 0;
  std::size_t turn_v6_ = 0;
  std::unordered_map<SourceAndTarget, SourceUse, Hash> uses_;
  std::map<IpAddress, TimePoint> absent_since_;
  std::uint64_t exhausted_total_ = 0;
};

}  // namespace nsrelay
