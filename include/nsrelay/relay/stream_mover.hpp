#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "nsrelay/net/io_result.hpp"
#include "nsrelay/net/pipe_pool.hpp"

namespace nsrelay {

/// What connections share to move bytes, because only one moves bytes at a time.
struct MoverResources {
  /// Where copied bytes stop on their way from recv(2) to send(2).
  std::span<std::byte> buffer;
  PipePool& pipes;
};

/// Moves the bytes of one direction of a TCP connection, and keeps what the sink did not take.
///
/// Theory of operation. Small messages are copied through the shared buffer: recv, and send at
/// once. A read that fills the buffer is the mark of bulk: from then on bytes are spliced through
/// a pipe and never enter user space, until four splices in a row were small. Memory and a pipe
/// are held only while bytes are pending; an idle direction holds nothing.
///
/// The caller reads only when nothing is pending.
class StreamMover {
 public:
  /// What one call did at either end.
  struct Moved {
    IoResult source;  ///< of the last read
    IoResult sink;    ///< of the last write; WouldBlock: something is pending
    std::size_t read = 0;
    std::size_t delivered = 0;
    /// The source had less than was asked for: there is nothing more now.
    bool source_is_drained = false;
  };

  StreamMover() = default;

  /// Reads once from `source` and delivers to `sink` as much as it takes. `copy_only`: a splice
  /// would stop for good at what is ahead (an urgent mark, tcp(7)).
  Moved read_and_deliver(int source, int sink, bool copy_only,
                         const MoverResources& resources) noexcept;

  /// The first read of a stream, by copying, with `prefix` in front of what it gives, in one write.
  /// The prefix is delivered whatever the read says; it must be shorter than half the buffer.
  Moved deliver_behind(std::string_view prefix, int source, int sink,
                       const MoverResources& resources) noexcept;

  /// Delivers what is pending.
  Moved deliver(int sink) noexcept;

  [[nodiscard]] bool has_pending() const { return rest_size_ > 0 || pipe_; }

  /// Throws away what is pending: the sink is dead.
  void discard() noexcept;

 private:
  enum class Path : std::uint8_t { Copy, Splice };

  Moved splice(int source, int sink) noexcept;
  void deliver_pipe(int sink, Moved& moved) noexcept;
  void keep_rest(std::span<const std::byte> rest);
  void note_splice_size(std::size_t bytes);

  PipePool::Loan pipe_;
  std::unique_ptr<std::byte[]> rest_;
  std::uint32_t rest_offset_ = 0;
  std::uint32_t rest_size_ = 0;
  Path path_ = Path::Copy;
  bool never_splice_ = false;
  std::uint8_t small_splices_ = 0;
};

}  // namespace nsrelay
