#include "nsrelay/net/sctp_message.hpp"

#include <netinet/in.h>
#include <netinet/sctp.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

namespace nsrelay {
namespace {

IoResult failure(int error) {
  switch (error) {
    case EAGAIN:
      return {IoStatus::WouldBlock, 0, 0};
    case ENOMEM:
    case ENOBUFS:
      return {IoStatus::NoMemory, error, 0};
    default:
      return {IoStatus::Error, error, 0};
  }
}

SctpNotice notice_of_change(std::uint16_t state) {
  switch (state) {
    case SCTP_COMM_UP:
      return SctpNotice::Up;
    case SCTP_SHUTDOWN_COMP:
      return SctpNotice::Closed;
    case SCTP_COMM_LOST:
    case SCTP_CANT_STR_ASSOC:
      return SctpNotice::Lost;
    case SCTP_RESTART:
      return SctpNotice::Restarted;
    default:
      return SctpNotice::Other;
  }
}

void read_notice(std::span<const std::byte> bytes, SctpReceived& received) {
  sctp_assoc_change change{};
  std::memcpy(&change, bytes.data(), std::min(bytes.size(), sizeof change));
  switch (change.sac_type) {
    case SCTP_ASSOC_CHANGE:
      received.notice = notice_of_change(change.sac_state);
      received.streams = {change.sac_outbound_streams, change.sac_inbound_streams};
      return;
    case SCTP_PARTIAL_DELIVERY_EVENT:  // its only indication is SCTP_PARTIAL_DELIVERY_ABORTED
      received.notice = SctpNotice::PartAborted;
      return;
    case SCTP_SENDER_DRY_EVENT:
      received.notice = SctpNotice::SenderDry;
      return;
    default:
      received.notice = SctpNotice::Other;
  }
}

}  // namespace

SctpReceived receive_sctp(int fd, std::span<std::byte> buffer) noexcept {
  const iovec space{buffer.data(), buffer.size()};
  sctp_rcvinfo info{};
  socklen_t info_size = sizeof info;
  unsigned info_type = SCTP_RECVV_NOINFO;
  int flags = 0;
  ssize_t count = 0;
  do
    count = ::sctp_recvv(fd, &space, 1, nullptr, nullptr, &info, &info_size, &info_type, &flags);
  while (count < 0 && errno == EINTR);
  if (count < 0)
    return {.io = failure(errno)};
  if (count == 0)  // a DATA chunk carries at least one byte (RFC 9260, 3.3.1)
    return {.io = {IoStatus::Eof, 0, 0}};
  SctpReceived received{.io = {IoStatus::Ok, 0, static_cast<std::size_t>(count)}};
  if ((flags & MSG_NOTIFICATION) != 0) {
    read_notice(buffer.first(static_cast<std::size_t>(count)), received);
    return received;
  }
  received.ends_message = (flags & MSG_EOR) != 0;
  received.info = {info.rcv_sid, info.rcv_ppid, (info.rcv_flags & SCTP_UNORDERED) != 0};
  return received;
}

IoResult send_sctp(int fd, std::span<const std::byte> message,
                   const SctpMessageInfo& info) noexcept {
  const iovec bytes{const_cast<std::byte*>(message.data()), message.size()};
  sctp_sndinfo how{};
  how.snd_sid = info.stream;
  how.snd_ppid = info.ppid;
  how.snd_flags = info.unordered ? std::uint16_t{SCTP_UNORDERED} : std::uint16_t{0};
  ssize_t count = 0;
  do
    count = ::sctp_sendv(fd, &bytes, 1, nullptr, 0, &how, sizeof how, SCTP_SENDV_SNDINFO,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
  while (count < 0 && errno == EINTR);
  if (count < 0)
    return failure(errno);
  return {IoStatus::Ok, 0, static_cast<std::size_t>(count)};
}

}  // namespace nsrelay
