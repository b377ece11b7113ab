#pragma once

#include <cstdint>

namespace nsrelay {

/// One direction of a connection: bytes go from a source socket to a sink socket.
struct FlowState {
  bool source_readable = false;  ///< a read may give something (latched edge of epoll)
  bool source_at_end = false;    ///< everything was read: FIN, or the last byte before a reset
  bool source_failed = false;    ///< the source's connection is dead (reset, timed out)
  bool sink_writable = false;    ///< a write may take something (latched edge of epoll)
  bool sink_failed = false;      ///< the sink's connection is dead
  bool has_pending = false;      ///< bytes were read that the sink has not taken
  bool fin_forwarded = false;    ///< the sink was told that no more comes
};

/// What to do next for one direction.
enum class FlowStep : std::uint8_t {
  Wait,       ///< nothing until the next event
  Read,       ///< read from the source, and deliver at once
  Deliver,    ///< deliver what is pending
  SendFin,    ///< everything is delivered: shutdown(2) the sink for writing
  Finished,   ///< the FIN was forwarded
  Drained,    ///< everything that came before the source's failure is delivered
  Abandoned,  ///< the sink is dead: nothing can be delivered any more
};

/// The next step of a flow. Pure. The order of the rules is the order of the promises: nothing is
/// read while something is pending (back-pressure), no FIN and no reset overtakes data, and a
/// dead sink ends everything. Here, so that it is compiled into the loop that asks it for every
/// message.
constexpr FlowStep next_step(const FlowState& flow) {
  if (flow.sink_failed)
    return FlowStep::Abandoned;
  if (flow.has_pending)
    return flow.sink_writable ? FlowStep::Deliver : FlowStep::Wait;
  if (flow.source_at_end && flow.source_failed)
    return FlowStep::Drained;
  if (flow.fin_forwarded)
    return FlowStep::Finished;
  if (flow.source_at_end)
    return FlowStep::SendFin;
  return flow.source_readable ? FlowStep::Read : FlowStep::Wait;
}

}  // namespace nsrelay
