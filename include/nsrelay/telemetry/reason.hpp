#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nsrelay {

/// Why a connection ended or failed: the values of the log's `reason` and of the metrics' label.
enum class Reason : std::uint8_t {
  // A connection that was forwarded ended.
  ClientClosed,       ///< both sides finished; the client's FIN came first
  UpstreamClosed,     ///< both sides finished; the upstream's FIN came first
  ClientReset,        ///< the client reset it
  UpstreamReset,      ///< the upstream reset it
  ClientTimeout,      ///< the client's host stopped answering (keepalive, user_timeout)
  UpstreamTimeout,    ///< the upstream's host stopped answering
  ClientRestarted,    ///< sctp: the client began its association anew
  UpstreamRestarted,  ///< sctp: the upstream began its association anew
  IdleTimeout,        ///< no byte either way for idle_timeout
  SessionTimeout,     ///< no datagram either way for session_timeout
  HalfCloseTimeout,   ///< no byte for half_close_timeout after one side's FIN or reset
  Drained,            ///< still open at the end of a drain
  NetnsDeleted,       ///< the namespace of one side was deleted
  UpstreamMoved,      ///< the target's name has that address no longer
  // A connection could not be forwarded: the client was reset.
  Denied,                ///< by the rule's allow and deny
  PerSourceConnections,  ///< its network has per_source.connections already
  PerSourceRate,         ///< its network came more often than per_source.rate
  ProxyHeaderInvalid,    ///< what it sent first is no PROXY header
  ProxyHeaderTimeout,    ///< its PROXY header was not there in time
  ForwardingLoop,        ///< it came from nsrelay itself, again and again
  ConnectRefused,        ///< the target refused
  ConnectTimeout,        ///< the target did not answer within connect_timeout
  ConnectUnreachable,    ///< no route, or the network said no
  ConnectFailed,         ///< another error of connect(2) or of the options of the socket
  NameNotFound,          ///< the target's host name has no address
  SourceAbsent,          ///< an address of `source` is not configured
  NoSourcePort,          ///< every local port towards the target is in use
  UpstreamNetnsAbsent,   ///< the upstream's namespace does not exist
  OutOfDescriptors,      ///< EMFILE, ENFILE
  OutOfMemory,           ///< ENOBUFS, ENOMEM
  AcceptFailed,          ///< accept4(2) failed in a way that it should not
  // A connection was forwarded, and something came that could not be: both sides were aborted.
  MessageTooLong,  ///< sctp: longer than max_message
  TooFewStreams,   ///< sctp: a message on a stream that the other side has not granted
};

inline constexpr std::size_t kReasons = 33;

/// Whether it says that a connection could not be forwarded, rather than that it ended.
bool is_failure(Reason reason);

/// As it stands in the log, e.g. "client_closed".
std::string_view to_string(Reason reason);

}  // namespace nsrelay
