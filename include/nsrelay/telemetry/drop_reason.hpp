#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nsrelay {

/// Why a datagram was not forwarded: the values of the log's `reason` and of the metrics' label.
enum class DropReason : std::uint8_t {
  Denied,                ///< by the rule's allow and deny
  PerSourceConnections,  ///< a new client, whose network has per_source.connections already
  PerSourceRate,         ///< a new client, whose network came more often than per_source.rate
  ForwardingLoop,        ///< it came from nsrelay itself, again and again
  MaxSessions,           ///< a new client, and the rule has max_sessions already
  Draining,              ///< a new client, and the listener is being closed
  OutOfDescriptors,      ///< a new client, and no descriptor is left for its session
  OutOfMemory,           ///< ENOBUFS, ENOMEM
  ConnectQueueFull,      ///< more came than is kept while the session's upstream is sought
  NoUpstream,            ///< no target could be had for its session
  TooLong,               ///< longer than the other side's protocol can carry
  SendBufferFull,        ///< the sending socket's buffer was full
  SendFailed,       ///< another error of sendmsg(2): no route, a firewall, an address that is gone
  Truncated,        ///< received in part, which should not be possible
  ReceiveOverflow,  ///< the kernel dropped it: the receive buffer was full
};

inline constexpr std::size_t kDropReasons = 15;

/// As it stands in the log, e.g. "max_sessions".
std::string_view to_string(DropReason reason);

}  // namespace nsrelay
