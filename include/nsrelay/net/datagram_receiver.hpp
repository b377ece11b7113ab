#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "nsrelay/net/datagram.hpp"
#include "nsrelay/net/io_result.hpp"

namespace nsrelay {

/// What one message of a batch brought.
struct ReceivedDatagrams {
  DatagramRun run;
  DatagramPath path;
  /// Datagrams that the socket has lost so far because its receive queue was full (SO_RXQ_OVFL).
  std::uint32_t overflows = 0;
  /// Longer than the buffer, so that its end is lost. Cannot happen; must not be forwarded.
  bool truncated = false;
};

/// Makes differences of the count that SO_RXQ_OVFL gives, which wraps and is absent while it is 0.
class OverflowMeter {
 public:
  /// How many datagrams one socket has lost since the last call for it.
  std::uint32_t since_last(std::uint32_t overflows) {
    return overflows == 0 ? 0 : overflows - std::exchange(last_, overflows);
  }

 private:
  std::uint32_t last_ = 0;
};

/// Receives datagrams of any socket in batches (recvmmsg(2)), into buffers that are never too
/// small: 64 KiB for each message, which is the most that a datagram or a burst can have. One is
/// enough for all sockets of a thread. The buffers take no memory before they are used.
class DatagramReceiver {
 public:
  /// Messages in a batch.
  static constexpr std::size_t kMost = 64;

  DatagramReceiver();
  DatagramReceiver(const DatagramReceiver&) = delete;
  DatagramReceiver& operator=(const DatagramReceiver&) = delete;

  /// Receives at most `most` (1 to kMost) messages that have arrived on `fd`. Ok: at least one,
  /// see received(); `bytes` is their sum, which may be 0. Error: the socket's pending error, e.g.
  /// of an ICMP message on a connected one; it is taken. What was received before is gone.
  IoResult receive(int fd, std::size_t most = kMost) noexcept;

  /// The messages of the last receive(), in order; their data lives until the next.
  [[nodiscard]] std::span<const ReceivedDatagrams> received() const {
    return {received_.data(), count_};
  }

 private:
  static constexpr std::size_t kControlSize = 192;

  struct Slot {
    union {
      sockaddr any;
      sockaddr_in v4;
      sockaddr_in6 v6;
    } peer;
    iovec data;
    alignas(cmsghdr) std::array<std::byte, kControlSize> control;
  };

  void offer(std::size_t place);
  static void parse(const mmsghdr& message, ReceivedDatagrams& received);

  std::unique_ptr<std::byte[]> buffers_;
  std::array<Slot, kMost> slots_;
  std::array<mmsghdr, kMost> headers_{};
  std::array<ReceivedDatagrams, kMost> received_;
  std::size_t count_ = 0;
};

}  // namespace nsrelay
