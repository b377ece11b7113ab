#include "nsrelay/telemetry/pause_reason.hpp"

namespace nsrelay {

std::string_view to_string(PauseReason reason) {
  switch (reason) {
    case PauseReason::MaxConnections:
      return "max_connections";
    case PauseReason::OutOfDescriptors:
      return "out_of_descriptors";
    case PauseReason::OutOfMemory:
      return "out_of_memory";
    case PauseReason::AcceptFailed:
      return "accept_failed";
  }
  return "";
}

}  // namespace nsrelay
