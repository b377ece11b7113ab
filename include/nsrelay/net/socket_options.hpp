#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "nsrelay/base/byte_size.hpp"
#include "nsrelay/base/duration.hpp"
#include "nsrelay/base/result.hpp"
#include "nsrelay/net/socket_address.hpp"

namespace nsrelay {

/// setsockopt(2) for an int. `what` names the option in the error, e.g. "TCP_NODELAY".
Result<void> set_option(int fd, int level, int option, int value, const char* what);

/// What a rule wants of its TCP sockets. Set on a listener, accepted sockets inherit all of it.
struct TcpOptions {
  bool nodelay = true;                   ///< TCP_NODELAY
  std::optional<Duration> keepalive;     ///< SO_KEEPALIVE and TCP_KEEPIDLE (whole seconds)
  std::optional<Duration> user_timeout;  ///< TCP_USER_TIMEOUT
  std::string congestion;                ///< TCP_CONGESTION; empty: the kernel's default
  std::optional<ByteSize> receive_buffer;
  std::optional<ByteSize> send_buffer;
};

/// Sets everything that `options` asks for on a TCP socket (tcp(7), socket(7)), before listen(2)
/// or connect(2). Urgent bytes are always kept in the stream (SO_OOBINLINE): without that one
/// byte of it would be lost. Fails on the first option that the kernel refuses, e.g. a congestion
/// control that it does not have (ENOENT).
Result<void> apply_tcp_options(int fd, const TcpOptions& options);

/// Gives a socket that has the options `before` those of `after`. What the kernel chooses by itself
/// when it is absent (congestion control, buffer sizes) cannot be given back to it and stays.
Result<void> change_tcp_options(int fd, const TcpOptions& before, const TcpOptions& after);

/// SO_BINDTODEVICE. ENODEV where the namespace has no such interface.
Result<void> bind_to_device(int fd, const std::string& device);

/// Bounds what the kernel keeps for a TCP socket that is not read, to about `most` bytes, by fixing
/// its buffer (SO_RCVBUFFORCE, socket(7)) and its window (TCP_WINDOW_CLAMP, tcp(7)). False without
/// CAP_NET_ADMIN: then only the window is bounded, and the kernel's tuning lifts the bound again
/// whenever it grows the buffer, so it has to be repeated as bytes arrive.
bool bound_receive_buffer(int fd, ByteSize most) noexcept;

/// Keeps back the bare ACK that would end a TCP handshake, so that it goes with the first bytes: a
/// segment less, and the peer's program is woken once, not twice. To be called before connect(2).
/// Until something is sent or push_ack() is called the peer does not know that it is connected, for
/// at most 200 ms: then the kernel sends the ACK (TCP_QUICKACK, tcp(7)).
void hold_handshake_ack(int fd) noexcept;

/// Sends an ACK that was kept back, see hold_handshake_ack().
void push_ack(int fd) noexcept;

/// Makes the next close(2) of a TCP socket a reset, of an SCTP socket an ABORT, with nothing unsent
/// kept (SO_LINGER {1, 0}); or, where `on` is false, what it is by itself.
void reset_on_close(int fd, bool on = true) noexcept;

/// Bytes in the send queue that the peer's kernel has not acknowledged (SIOCOUTQ, tcp(7)); 0 also
/// for a socket that is past sending.
int unacknowledged_bytes(int fd) noexcept;

/// Bytes that a read would give now (SIOCINQ, tcp(7)).
int readable_bytes(int fd) noexcept;

/// Where an IP socket is bound (getsockname(2)); nothing where it is none, or closed.
std::optional<IpEndpoint> local_endpoint(int fd) noexcept;

/// Takes the pending error of a socket (SO_ERROR, socket(7)): 0 when there is none.
int take_socket_error(int fd) noexcept;

}  // namespace nsrelay
