#include "nsrelay/relay/stream_mover.hpp"

#include <algorithm>
#include <cerrno>

namespace nsrelay {
namespace {

// Below this a splice costs more than a copy; so many of them in a row end it.
constexpr std::size_t kSmallSplice = 16 * 1024;
constexpr int kSmallSplicesToGoBack = 4;

}  // namespace

StreamMover::Moved StreamMover::read_and_deliver(int source, int sink, bool copy_only,
                                                 const MoverResources& resources) noexcept {
  if (path_ == Path::Splice && !copy_only)
    pipe_ = resources.pipes.borrow();
  return pipe_ ? splice(source, sink) : deliver_behind({}, source, sink, resources);
}

StreamMover::Moved StreamMover::deliver_behind(std::string_view prefix, int source, int sink,
                                               const MoverResources& resources) noexcept {
  Moved moved;
  const std::span<std::byte> room = resources.buffer.subspan(prefix.size());
  moved.source = receive(source, room);
  moved.read = moved.source.bytes;
  if (prefix.empty() && moved.read == 0)
    return moved;
  moved.source_is_drained = moved.read < room.size();
  if (!moved.source_is_drained && !never_splice_)
    path_ = Path::Splice;
  std::ranges::copy(std::as_bytes(std::span(prefix)), resources.buffer.begin());
  const std::span<const std::byte> data = resources.buffer.first(prefix.size() + moved.read);
  moved.sink = send(sink, data);
  moved.delivered = moved.sink.bytes;
  if (moved.delivered < data.size())
    keep_rest(data.subspan(moved.delivered));
  return moved;
}

StreamMover::Moved StreamMover::splice(int source, int sink) noexcept {
  Moved moved;
  moved.source = splice_from(source, *pipe_);
  if (moved.source.status != IoStatus::Ok) {
    pipe_.reset();
    const bool is_impossible =
        moved.source.status == IoStatus::Error && moved.source.error == EINVAL;
    never_splice_ |= is_impossible;
    // A family that cannot be spliced, or an end, which may be an urgent mark before a FIN (6.18).
    // Nothing was read: the next call copies.
    if (is_impossible || moved.source.status == IoStatus::Eof) {
      path_ = Path::Copy;
      moved.source = {IoStatus::Ok, 0, 0};
    }
    return moved;
  }
  moved.read = moved.source.bytes;
  note_splice_size(moved.read);
  deliver_pipe(sink, moved);
  return moved;
}

void StreamMover::note_splice_size(std::size_t bytes) {
  if (bytes >= kSmallSplice) {
    small_splices_ = 0;
  } else if (++small_splices_ >= kSmallSplicesToGoBack) {
    small_splices_ = 0;
    path_ = Path::Copy;
  }
}

StreamMover::Moved StreamMover::deliver(int sink) noexcept {
  Moved moved;
  if (pipe_) {
    deliver_pipe(sink, moved);
    return moved;
  }
  moved.sink = send(sink, {rest_.get() + rest_offset_, rest_size_});
  moved.delivered = moved.sink.bytes;
  rest_offset_ += static_cast<std::uint32_t>(moved.delivered);
  rest_size_ -= static_cast<std::uint32_t>(moved.delivered);
  if (rest_size_ == 0)
    rest_.reset();
  return moved;
}

void StreamMover::deliver_pipe(int sink, Moved& moved) noexcept {
  do {
    moved.sink = splice_to(sink, *pipe_);
    moved.delivered += moved.sink.bytes;
  } while (moved.sink.status == IoStatus::Ok && !pipe_->empty());
  if (pipe_->empty())
    pipe_.reset();
}

void StreamMover::keep_rest(std::span<const std::byte> rest) {
  rest_ = std::make_unique_for_overwrite<std::byte[]>(rest.size());
  std::copy(rest.begin(), rest.end(), rest_.get());
  rest_offset_ = 0;
  rest_size_ = static_cast<std::uint32_t>(rest.size());
}

void StreamMover::discard() noexcept {
  rest_.reset();
  rest_size_ = 0;
  pipe_.reset();
}

}  // namespace nsrelay
