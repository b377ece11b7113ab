#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace nsrelay {

/// So many per second, and a second's worth at once after a time of rest. It is told the time,
/// which must not run backwards.
class TokenBucket {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Full. `rate` is per second, at least 1.
  TokenBucket(std::uint32_t rate, TimePoint now) : rate_(rate), tokens_(rate), filled_at_(now) {}

  /// Takes one token. False: there is none.
  bool take(TimePoint now) {
    fill(now);
    if (tokens_ < 1)
      return false;
    tokens_ -= 1;
    return true;
  }

  /// Whether it has had the rest that makes it as good as new.
  [[nodiscard]] bool is_full(TimePoint now) {
    fill(now);
    return tokens_ >= rate_;
  }

 private:
  void fill(TimePoint now) {
    const std::chrono::duration<double> passed = now - filled_at_;
    tokens_ = std::min(rate_, tokens_ + passed.count() * rate_);
    filled_at_ = now;
  }

  double rate_;
  double tokens_;
  TimePoint filled_at_;
};

}  // namespace nsrelay
