#pragma once

#include <sys/epoll.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <span>

#include "nsrelay/base/unique_fd.hpp"

namespace nsrelay::bench {

using Clock = std::chrono::steady_clock;

/// `seconds` after `start`.
inline Clock::time_point after(Clock::time_point start, double seconds) {
  return start +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

/// A level-triggered epoll set whose events carry a pointer. Errors of the set itself end the
/// program: they are bugs of the load generator.
class Poller {
 public:
  Poller();

  /// Watches `fd`; `tag` comes back with its events. A closed descriptor leaves by itself.
  void add(int fd, std::uint32_t events, void* tag);

  /// Watches for other events than before.
  void change(int fd, std::uint32_t events, void* tag);

  /// Watches `fd` no more.
  void remove(int fd);

  /// Blocks until there are events or it is `deadline`. The span is valid until the next call.
  std::span<const epoll_event> wait(Clock::time_point deadline);

 private:
  UniqueFd epoll_;
  std::array<epoll_event, 128> events_{};
};

}  // namespace nsrelay::bench
