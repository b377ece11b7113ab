#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nsrelay/net/sctp_message.hpp"

namespace nsrelay {

/// Moves the messages of one direction of an SCTP association, one at a time, and keeps the one
/// that the sink did not take.
///
/// Theory of operation. A message that one read gives whole is sent from where it was received.
/// One that comes in parts (longer than the buffer, or delivered by the kernel before it was
/// complete) is put together first. Memory is held only for a message that is incomplete or waits.
///
/// The caller reads only when nothing is pending.
class MessageMover {
 public:
  /// What a message may be.
  struct Limits {
    std::size_t longest = 0;    ///< bytes
    std::uint32_t streams = 0;  ///< that the sink's association has; its number must be below
  };

  enum class Fault : std::uint8_t { None, TooLong, NoSuchStream };

  /// What one call did at either end.
  struct Moved {
    SctpReceived source;        ///< of the read
    IoResult sink;              ///< of the write; WouldBlock: the message is pending
    std::size_t delivered = 0;  ///< bytes of the message that was delivered
    bool dropped = false;       ///< a whole message was given up
    Fault fault = Fault::None;  ///< the association cannot go on
  };

  /// Reads once from `source` into `buffer`, and delivers the message if it is whole.
  Moved read_and_deliver(int source, int sink, std::span<std::byte> buffer,
                         const Limits& limits) noexcept;

  /// Reads once from `source`; a whole message becomes pending. For the time before there is a
  /// sink.
  Moved read(int source, std::span<std::byte> buffer, const Limits& limits) noexcept;

  /// Reads once from `source`, for nobody.
  static Moved read_and_drop(int source, std::span<std::byte> buffer) noexcept;

  /// Delivers the pending message.
  Moved deliver(int sink, const Limits& limits) noexcept;

  /// Throws the pending message away.
  void drop() noexcept;

  [[nodiscard]] bool has_pending() const { return is_whole_; }
  /// What the pending or the last read message was, for the record of a fault.
  [[nodiscard]] const SctpMessageInfo& info() const { return info_; }

 private:
  std::span<const std::byte> receive(int source, std::span<std::byte> buffer, const Limits& limits,
                                     Moved& moved) noexcept;
  static void send(int sink, std::span<const std::byte> message, const SctpMessageInfo& info,
                   const Limits& limits, Moved& moved) noexcept;

  std::vector<std::byte> kept_;  ///< of an incomplete message, or a whole one that waits
  bool is_whole_ = false;
  SctpMessageInfo info_;
};

}  // namespace nsrelay
