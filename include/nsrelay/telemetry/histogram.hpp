#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace nsrelay {

/// How long things took, in fixed buckets: from what a connect on one host takes to a
/// connect_timeout of several seconds.
class DurationHistogram {
 public:
  /// The upper bounds of the buckets but the last, which has none.
  static constexpr std::array<std::chrono::microseconds, 14> kBounds = {{
      std::chrono::microseconds(100),
      std::chrono::microseconds(250),
      std::chrono::microseconds(500),
      std::chrono::milliseconds(1),
      std::chrono::microseconds(2500),
      std::chrono::milliseconds(5),
      std::chrono::milliseconds(10),
      std::chrono::milliseconds(25),
      std::chrono::milliseconds(50),
      std::chrono::milliseconds(100),
      std::chrono::milliseconds(250),
      std::chrono::seconds(1),
      std::chrono::seconds(5),
      std::chrono::seconds(30),
  }};

  void add(std::chrono::nanoseconds duration);

  /// How many took so long as the bucket says, or were quicker (cumulative, as Prometheus wants
  /// it). `bucket` is at most kBounds.size(), which gives all of them.
  [[nodiscard]] std::uint64_t count_up_to(std::size_t bucket) const;
  [[nodiscard]] std::chrono::nanoseconds sum() const { return sum_; }

 private:
  std::array<std::uint64_t, kBounds.size() + 1> counts_{};  ///< each bucket for itself
  std::chrono::nanoseconds sum_{};
};

}  // namespace nsrelay
