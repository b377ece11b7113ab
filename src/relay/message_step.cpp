#include "nsrelay/relay/message_step.hpp"

#include <sys/epoll.h>

namespace nsrelay {

MessageStep next_message_step(const MessageFlow& flow) {
  const bool sink_takes = flow.sink == PeerState::Open && !flow.sink_refuses && !flow.end_forwarded;
  if (flow.has_pending) {
    if (!sink_takes)
      return MessageStep::Drop;
    return flow.sink_writable ? MessageStep::Deliver : MessageStep::Wait;
  }
  const bool may_speak = flow.source == PeerState::Open || flow.source == PeerState::ShutDown;
  if (flow.source_readable && may_speak)
    return sink_takes ? MessageStep::Read : MessageStep::ReadAndDrop;
  if (flow.source == PeerState::Open)
    return MessageStep::Wait;
  if (!sink_takes)
    return MessageStep::Finished;
  return flow.source == PeerState::Failed ? MessageStep::ForwardAbort
                                          : MessageStep::ForwardShutdown;
}

std::uint32_t wanted_sctp_events(bool waits_for_it, bool muted) {
  std::uint32_t events = EPOLLET;
  if (!muted)
    events |= EPOLLIN;
  if (waits_for_it)
    events |= EPOLLOUT;
  return events;
}

}  // namespace nsrelay
