#include "nsrelay/telemetry/drop_reason.hpp"

namespace nsrelay {

std::string_view to_string(DropReason reason) {
  switch (reason) {
    case DropReason::Denied:
      return "denied";
    case DropReason::PerSourceConnections:
      return "per_source_connections";
    case DropReason::PerSourceRate:
      return "per_source_rate";
    case DropReason::ForwardingLoop:
      return "forwarding_loop";
    case DropReason::MaxSessions:
      return "max_sessions";
    case DropReason::Draining:
      return "draining";
    case DropReason::OutOfDescriptors:
      return "out_of_descriptors";
    case DropReason::OutOfMemory:
      return "out_of_memory";
    case DropReason::ConnectQueueFull:
      return "connect_queue_full";
    case DropReason::NoUpstream:
      return "no_upstream";
    case DropReason::TooLong:
      return "too_long";
    case DropReason::SendBufferFull:
      return "send_buffer_full";
    case DropReason::SendFailed:
      return "send_failed";
    case DropReason::Truncated:
      return "truncated";
    case DropReason::ReceiveOverflow:
      return "receive_overflow";
  }
  return "";
}

}  // namespace nsrelay
