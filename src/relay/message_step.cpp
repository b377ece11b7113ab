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

std::uint32_t wanted_sctp_events(bool message_waits_for_it) {
  const std::uint32_t always = std::uint32_t{EPOLLIN} | EPOLLET;
  return message_waits_for_it ? always | EPOLLOUT : always;
}

}  // namespace nsrelay
