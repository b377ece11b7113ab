#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>

#include "nsrelay/base/ip_address.hpp"
#include "nsrelay/base/token_bucket.hpp"
#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/event/timer_queue.hpp"

namespace nsrelay {

class SourceLimiter;

/// A connection's place among those of its source, for as long as it lives. Movable; the limiter
/// must outlive it.
class SourceLease {
 public:
  /// None: the rule has no limits.
  SourceLease() = default;
  SourceLease(SourceLease&& other) noexcept : source_(std::exchange(other.source_, nullptr)) {}
  SourceLease& operator=(SourceLease&& other) noexcept {
    std::swap(source_, other.source_);
    return *this;
  }
  SourceLease(const SourceLease&) = delete;
  SourceLease& operator=(const SourceLease&) = delete;
  ~SourceLease() { release(); }

  explicit operator bool() const { return source_ != nullptr; }

  void release();

 private:
  friend class SourceLimiter;
  struct Source;
  explicit SourceLease(Source& source) : source_(&source) {}

  Source* source_ = nullptr;
};

/// `per_source`: how many connections, and how many new ones per second, each client's network has.
///
/// Theory of operation. A network is known while it has connections or has not rested since its
/// last. The table is ordered by the last visit: each new network looks at the two that were there
/// longest ago and drops those that have nothing to be remembered for, so that it stays as small
/// as what it has to know. Under a flood from ever new addresses those without connections are
/// dropped though they have not rested, once there are `most`; nothing ever looks at all of them.
class SourceLimiter {
 public:
  enum class Refusal : std::uint8_t { Connections, Rate };

  static constexpr std::size_t kMost = 65536;

  explicit SourceLimiter(const PerSourceLimit& limit, std::size_t most = kMost);
  SourceLimiter(const SourceLimiter&) = delete;
  SourceLimiter& operator=(const SourceLimiter&) = delete;
  ~SourceLimiter();

  /// Counts a new connection of `client`, until `lease` is gone; or says why there is to be none.
  std::optional<Refusal> admit(const IpAddress& client, TimePoint now, SourceLease& lease);

  /// How many networks it knows at present.
  [[nodiscard]] std::size_t size() const { return sources_.size(); }

 private:
  friend class SourceLease;
  using Source = SourceLease::Source;
  using Sources = std::list<Source>;  // the last visited first
  struct Hash {
    std::uint64_t seed;
    std::size_t operator()(const IpAddress& address) const noexcept;
  };

  Source& source_of(const IpAddress& client, TimePoint now);
  void drop_oldest(TimePoint now);
  void drop(Sources::iterator source);
  void on_released(Source& source);

  const PerSourceLimit limit_;
  const std::size_t most_;
  Sources sources_;
  std::unordered_map<IpAddress, Sources::iterator, Hash> by_network_;
};

}  // namespace nsrelay
