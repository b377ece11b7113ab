#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "nsrelay/base/byte_size.hpp"
#include "nsrelay/base/result.hpp"
#include "nsrelay/net/socket_address.hpp"

namespace nsrelay {

/// What a rule wants of its one-to-one SCTP sockets. Set on a listener, accepted sockets inherit
/// it.
struct SctpOptions {
  bool nodelay = true;                   ///< SCTP_NODELAY
  ByteSize longest_message{256 * 1024};  ///< what one send(2) has to take
  std::optional<ByteSize> receive_buffer;
  std::optional<ByteSize> send_buffer;
};

/// Sets everything that `options` asks for on a socket of SOCK_STREAM and IPPROTO_SCTP, before
/// listen(2) or connect(2); an open one may have it changed. Asks for the notifications that
/// receive_sctp() understands (RFC 6458, 6.1), and for what belongs to each message
/// (SCTP_RECVRCVINFO). The kernel sends no message that is longer than the send buffer, and takes
/// one that is longer than the receive window in slow steps: both buffers hold the longest message,
/// where privileges allow it (SO_SNDBUFFORCE; else net.core.wmem_max and rmem_max cap them).
Result<void> apply_sctp_options(int fd, const SctpOptions& options);

/// Streams of an association, seen from this end.
struct SctpStreams {
  std::uint16_t outbound = 0;  ///< that can be sent on: numbers 0 to outbound - 1
  std::uint16_t inbound = 0;

  friend bool operator==(const SctpStreams&, const SctpStreams&) = default;
};

/// What a listener offers each way: as many inbound streams as Linux takes by itself. An
/// association costs the kernel 24 bytes for each stream that both ends agree on.
inline constexpr SctpStreams kOfferedSctpStreams{2048, 2048};

/// What the associations of this socket ask for (SCTP_INITMSG, RFC 6458, 8.1.3): so many outbound
/// streams, and at most so many inbound ones.
Result<void> request_sctp_streams(int fd, SctpStreams streams);

/// What the association of this socket was granted (SCTP_STATUS, RFC 6458, 8.2.1); nothing where it
/// has none any more.
std::optional<SctpStreams> granted_sctp_streams(int fd) noexcept;

/// DATA chunks that were not sent or not acknowledged; 0 where there is no association any more.
std::uint32_t unacknowledged_sctp_chunks(int fd) noexcept;

/// bind(2), for several addresses sctp_bindx(3): one endpoint. All of one family and port.
Result<void> bind_sctp(int fd, std::span<const SocketAddress> addresses);

/// Whether the socket is bound to exactly these addresses and their port.
bool is_sctp_bound_to(int fd, std::span<const SocketAddress> addresses);

/// Every address of this end, and of the peer's, of the association that the socket has. A socket
/// that was bound to no address has all of its namespace. Empty where the kernel does not tell.
std::vector<IpEndpoint> sctp_local_endpoints(int fd);
std::vector<IpEndpoint> sctp_peer_endpoints(int fd);

/// Begins an association with an endpoint of one or several addresses (sctp_connectx(3)); it is set
/// up in the background. All of one family and port.
Result<void> connect_sctp(int fd, std::span<const SocketAddress> addresses);

/// SctpNotice::SenderDry will come once the peer has acknowledged everything; at once where it has.
Result<void> notify_when_acknowledged(int fd) noexcept;

/// Whether an error of socket(2) or listen(2) says that this kernel has no (working) SCTP.
bool is_sctp_missing(int error);

/// The same error, with what to do about it before it where is_sctp_missing() its number.
Error explain_missing_sctp(Error error);

}  // namespace nsrelay
