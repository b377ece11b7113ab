#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "nsrelay/net/io_result.hpp"
#include "nsrelay/net/sctp_socket.hpp"

namespace nsrelay {

/// What belongs to a message besides its bytes.
struct SctpMessageInfo {
  std::uint16_t stream = 0;
  /// The payload protocol identifier as it is on the wire: its byte order is the peers' affair.
  std::uint32_t ppid = 0;
  bool unordered = false;

  friend bool operator==(const SctpMessageInfo&, const SctpMessageInfo&) = default;
};

/// What the kernel says about an association, in order with its messages (RFC 6458, 6.1).
enum class SctpNotice : std::uint8_t {
  None,
  Up,         ///< the association stands; `streams` says what was agreed
  Closed,     ///< over in good order: SHUTDOWN is complete
  Lost,       ///< aborted by the peer, or the peer stopped answering; SO_ERROR says which
  Restarted,  ///< the peer began anew: what was under way is lost, the number of streams may differ
  PartAborted,  ///< the rest of the message whose beginning was received will not come
  SenderDry,    ///< the peer has acknowledged everything
  Other,
};

/// What one receive_sctp() gave: a message, a part of one, or a notice.
struct SctpReceived {
  IoResult io;  ///< Eof: the peer sent SHUTDOWN, and everything before it has been read
  SctpNotice notice = SctpNotice::None;  ///< not None: there is no data
  bool ends_message = false;             ///< MSG_EOR; else the next receive gives more of it
  SctpMessageInfo info{};
  SctpStreams streams{};  ///< with SctpNotice::Up

  /// Whether bytes of a message came.
  [[nodiscard]] bool has_data() const {
    return io.status == IoStatus::Ok && notice == SctpNotice::None;
  }
};

/// Receives (sctp_recvv(3)) from a non-blocking one-to-one socket that apply_sctp_options() was
/// called for, or whose listener it was. `buffer` must hold a notice: at least 1 KiB.
SctpReceived receive_sctp(int fd, std::span<std::byte> buffer) noexcept;

/// Sends one whole message (sctp_sendv(3)), or nothing of it. It is not empty. Error EMSGSIZE:
/// longer than the send buffer; EINVAL: the association has no such stream; EPIPE, ESHUTDOWN: the
/// peer has sent SHUTDOWN or ABORT, and takes nothing any more.
IoResult send_sctp(int fd, std::span<const std::byte> message,
                   const SctpMessageInfo& info) noexcept;

}  // namespace nsrelay
