#pragma once

#include <cstdint>

namespace nsrelay {

/// What one peer of an SCTP association has told us. There is no half-closed state: who has sent
/// SHUTDOWN takes no new message any more (RFC 9260, 9.2).
enum class PeerState : std::uint8_t {
  Open,
  ShutDown,  ///< it sent SHUTDOWN, and everything before that has been read
  Gone,      ///< the association is over in good order
  Failed,    ///< it aborted, restarted or stopped answering, and everything before was read
};

/// Whether nothing more comes of such a peer.
constexpr bool is_over(PeerState peer) {
  return peer == PeerState::Gone || peer == PeerState::Failed;
}

/// One direction of an association: messages go from a source to a sink.
struct MessageFlow {
  PeerState source = PeerState::Open;
  PeerState sink = PeerState::Open;
  bool source_readable = false;  ///< a read may give something (latched edge of epoll)
  bool sink_writable = false;    ///< a write may take something
  bool sink_refuses = false;     ///< a write said that the sink takes nothing any more
  bool has_pending = false;      ///< a whole message was read that the sink has not taken
  bool end_forwarded = false;    ///< the sink was told how the source ended
};

/// What to do next for one direction.
enum class MessageStep : std::uint8_t {
  Wait,             ///< nothing until the next event
  Read,             ///< read from the source, and deliver at once
  ReadAndDrop,      ///< read from the source what nobody takes any more
  Deliver,          ///< deliver the pending message
  Drop,             ///< give the pending message up: nobody takes it any more
  ForwardShutdown,  ///< everything is delivered: SHUTDOWN to the sink
  ForwardAbort,     ///< everything is delivered: ABORT to the sink, once it has acknowledged all
  Finished,         ///< the sink knows, or is gone itself
};

/// The next step of a flow. Pure. The order of its rules is the order of the promises: nothing is
/// read while a message is pending (back-pressure), neither SHUTDOWN nor ABORT overtakes a
/// message, and each is forwarded once. A source that has ended is still listened to: it tells
/// when its association is over.
MessageStep next_message_step(const MessageFlow& flow);

/// The events that a side is to be registered for: edge-triggered; for writing only while a message
/// `waits_for_it`, because every acknowledgement of an SCTP peer is an edge. A side that is `muted`
/// does not tell what arrives; how it ends, it does.
std::uint32_t wanted_sctp_events(bool waits_for_it, bool muted);

}  // namespace nsrelay
