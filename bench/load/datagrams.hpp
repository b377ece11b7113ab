#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace nsrelay::bench {

/// Up to kMost datagrams that are received with one system call, and may be sent back with one
/// (recvmmsg(2), sendmmsg(2)). Its memory stays where it is.
class Datagrams {
 public:
  static constexpr std::size_t kMost = 64;
  static constexpr std::size_t kLongest = 65535;

  Datagrams();
  Datagrams(const Datagrams&) = delete;
  Datagrams& operator=(const Datagrams&) = delete;

  /// Takes what waits in the socket; how many that were, 0 also for an error.
  std::size_t receive(int fd);

  /// Sends the `count` that were received last to where they came from. How many the socket took.
  std::size_t send_back(int fd, std::size_t count);

  /// Sends `data` to where the one at `i` came from.
  void answer(int fd, std::size_t i, std::span<const std::byte> data);

  [[nodiscard]] std::span<const std::byte> operator[](std::size_t i) const;

 private:
  std::vector<std::byte> memory_;
  std::array<sockaddr_storage, kMost> senders_{};
  std::array<iovec, kMost> parts_{};
  std::array<mmsghdr, kMost> messages_{};
};

}  // namespace nsrelay::bench
