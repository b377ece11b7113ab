#include "nsrelay/relay/message_mover.hpp"

#include <cerrno>

namespace nsrelay {

MessageMover::Moved MessageMover::read_and_deliver(int source, int sink,
                                                   std::span<std::byte> buffer,
                                                   const Limits& limits) noexcept {
  Moved moved;
  const auto message = receive(source, buffer, limits, moved);
  if (message.empty())
    return moved;
  send(sink, message, info_, limits, moved);
  if (moved.sink.status == IoStatus::Ok) {
    drop();
    return moved;
  }
  if (kept_.empty())
    kept_.assign(message.begin(), message.end());
  is_whole_ = true;
  return moved;
}

MessageMover::Moved MessageMover::read(int source, std::span<std::byte> buffer,
                                       const Limits& limits) noexcept {
  Moved moved;
  const auto message = receive(source, buffer, limits, moved);
  if (message.empty())
    return moved;
  if (kept_.empty())
    kept_.assign(message.begin(), message.end());
  is_whole_ = true;
  return moved;
}

MessageMover::Moved MessageMover::read_and_drop(int source, std::span<std::byte> buffer) noexcept {
  Moved moved;
  moved.source = receive_sctp(source, buffer);
  moved.dropped = moved.source.ends_message;
  return moved;
}

MessageMover::Moved MessageMover::deliver(int sink, const Limits& limits) noexcept {
  Moved moved;
  send(sink, kept_, info_, limits, moved);
  if (moved.sink.status == IoStatus::Ok)
    drop();
  return moved;
}

void MessageMover::drop() noexcept {
  kept_ = {};
  is_whole_ = false;
}

/// Returns the message if it is whole now, else nothing.
std::span<const std::byte> MessageMover::receive(int source, std::span<std::byte> buffer,
                                                 const Limits& limits, Moved& moved) noexcept {
  moved.source = receive_sctp(source, buffer);
  if (moved.source.notice == SctpNotice::PartAborted)
    drop();
  if (!moved.source.has_data())
    return {};
  info_ = moved.source.info;
  const auto part = buffer.first(moved.source.io.bytes);
  if (kept_.size() + part.size() > limits.longest) {
    moved.fault = Fault::TooLong;
    return {};
  }
  if (kept_.empty() && moved.source.ends_message)
    return part;
  kept_.insert(kept_.end(), part.begin(), part.end());
  return moved.source.ends_message ? std::span<const std::byte>(kept_)
                                   : std::span<const std::byte>();
}

void MessageMover::send(int sink, std::span<const std::byte> message, const SctpMessageInfo& info,
                        const Limits& limits, Moved& moved) noexcept {
  // Asked before the kernel is: its EINVAL could mean something else.
  if (info.stream >= limits.streams) {
    moved.fault = Fault::NoSuchStream;
    return;
  }
  moved.sink = send_sctp(sink, message, info);
  if (moved.sink.status == IoStatus::Ok)
    moved.delivered = message.size();
  if (moved.sink.status == IoStatus::Error && moved.sink.error == EMSGSIZE)
    moved.fault = Fault::TooLong;
}

}  // namespace nsrelay
