#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "nsrelay/relay/client_origin.hpp"
#include "nsrelay/relay/forwarded.hpp"

namespace nsrelay {

/// Catches circles whose connections end as fast as they begin: the first client was reset, and the
/// reset runs after the newest turn and never reaches it. There are few of them at any time, so
/// that a look at what exists does not show the circle (LoopGuard); but they take all of the
/// processor.
///
/// Theory of operation. Of every kPeriod clients of streams the last ones are looked at more
/// closely, kWindow of them in each of two ways. First it is remembered where their upstream
/// sockets are bound, for a getsockname(2) each, and who comes from one of those is followed: one
/// that has come to the same listener kMostReturns times closes a circle. Then, for circles that
/// cannot be seen, resets get a start: listeners accept in every other iteration only, and who was
/// reset by the time that it is accepted is not connected any further.
class LoopTrace {
 public:
  static constexpr std::uint32_t kPeriod = 1024;
  static constexpr std::uint32_t kWindow = 64;

  LoopTrace();

  /// To be called for each client that was accepted, before what follows.
  void count_client();

  /// Whether resets get a start.
  [[nodiscard]] bool is_wary() const { return clients_ >= kPeriod - kWindow; }

  /// Whether a client may come from an upstream socket that is remembered; if not, it is not
  /// followed.
  [[nodiscard]] bool may_know(Protocol protocol, const IpEndpoint& peer);

  /// Finds out where `newcomer` comes from: the name of the rule, where that closes a circle.
  std::optional<std::string> follow(const Newcomer& newcomer, TimePoint now);

  /// Remembers the upstream socket of the client that was followed last, if it is time to.
  void note(const Forwarded& started);

 private:
  /// The listener that a chain of connections was first seen at, and how often it came there.
  struct Way {
    std::uint64_t netns = 0;
    std::string listener;
    std::size_t visits = 0;
  };
  struct Upstream {
    Appearance appearance;
    SocketEnds ends;
    Way way;
    std::string rule;
  };
  struct Hash {
    std::uint64_t seed;
    std::size_t operator()(const Place& place) const noexcept;
  };

  [[nodiscard]] bool is_following() const {
    return clients_ >= kPeriod - 2 * kWindow && !is_wary();
  }
  [[nodiscard]] const Upstream* origin_of(const Newcomer& newcomer, TimePoint now) const;

  std::uint32_t clients_ = 0;
  std::unordered_multimap<Place, Upstream, Hash> upstreams_;
  Way followed_;
};

}  // namespace nsrelay
