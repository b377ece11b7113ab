#include "nsrelay/net/datagram_receiver.hpp"

#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace nsrelay {
namespace {

constexpr std::size_t kBufferSize = std::size_t{64} * 1024;
// Buffers at multiples of a power of two would all compete for the same few lines of the cache.
constexpr std::size_t kBufferStride = kBufferSize + 192;

template <class Value>
Value value_of(const cmsghdr* control) {
  Value value;
  std::memcpy(&value, CMSG_DATA(control), sizeof value);
  return value;
}

constexpr std::uint64_t kind(int level, int type) {
  return std::uint64_t{static_cast<std::uint32_t>(level)} << 32U | static_cast<std::uint32_t>(type);
}

void parse_control(const cmsghdr* control, ReceivedDatagrams& received) {
  switch (kind(control->cmsg_level, control->cmsg_type)) {
    case kind(SOL_UDP, UDP_GRO):
      received.run.segment_size = static_cast<std::uint32_t>(value_of<int>(control));
      break;
    case kind(IPPROTO_IP, IP_TOS):
      received.run.traffic_class = value_of<std::uint8_t>(control);
      break;
    case kind(IPPROTO_IPV6, IPV6_TCLASS):
      received.run.traffic_class = static_cast<std::uint8_t>(value_of<int>(control));
      break;
    case kind(IPPROTO_IP, IP_PKTINFO):
      // Not ipi_addr: what was sent to a broadcast address cannot be answered from it (ip(7)).
      received.path.local = IpAddress(value_of<in_pktinfo>(control).ipi_spec_dst);
      break;
    case kind(IPPROTO_IPV6, IPV6_PKTINFO):
      if (const auto info = value_of<in6_pktinfo>(control); !IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
        received.path.local = IpAddress(info.ipi6_addr);
      break;
    case kind(SOL_SOCKET, SO_RXQ_OVFL):
      received.overflows = value_of<std::uint32_t>(control);
      break;
    default:
      break;
  }
}

}  // namespace

DatagramReceiver::DatagramReceiver()
    : buffers_(std::make_unique_for_overwrite<std::byte[]>(kMost * kBufferStride)) {
  for (std::size_t i = 0; i < kMost; ++i) {
    slots_[i].data = {buffers_.get() + i * kBufferStride, kBufferSize};
    headers_[i].msg_hdr.msg_name = &slots_[i].peer;
    headers_[i].msg_hdr.msg_iov = &slots_[i].data;
    headers_[i].msg_hdr.msg_iovlen = 1;
    headers_[i].msg_hdr.msg_control = slots_[i].control.data();
    offer(i);
  }
}

/// Says how much room a header has, which the kernel has replaced by what it used.
void DatagramReceiver::offer(std::size_t place) {
  headers_[place].msg_hdr.msg_namelen = sizeof slots_[place].peer;
  headers_[place].msg_hdr.msg_controllen = kControlSize;
}

IoResult DatagramReceiver::receive(int fd, std::size_t most) noexcept {
  for (std::size_t i = 0; i < count_; ++i)
    offer(i);
  count_ = 0;
  int count = 0;
  do
    count = ::recvmmsg(fd, headers_.data(), static_cast<unsigned>(most), MSG_DONTWAIT, nullptr);
  while (count < 0 && errno == EINTR);
  if (count < 0 && errno == EAGAIN)
    return {IoStatus::WouldBlock, 0, 0};
  if (count < 0 && (errno == ENOMEM || errno == ENOBUFS))
    return {IoStatus::NoMemory, errno, 0};
  if (count < 0)
    return {IoStatus::Error, errno, 0};
  IoResult result{IoStatus::Ok, 0, 0};
  count_ = static_cast<std::size_t>(count);
  for (std::size_t i = 0; i < count_; ++i) {
    parse(headers_[i], received_[i]);
    result.bytes += headers_[i].msg_len;
  }
  return result;
}

void DatagramReceiver::parse(const mmsghdr& message, ReceivedDatagrams& received) {
  msghdr header = message.msg_hdr;
  received = {};
  received.run.data = {static_cast<const std::byte*>(header.msg_iov->iov_base), message.msg_len};
  received.truncated = (header.msg_flags & MSG_TRUNC) != 0;
  if (header.msg_namelen > 0) {  // 0: the socket is connected
    const auto& any = *static_cast<const sockaddr*>(header.msg_name);
    if (any.sa_family == AF_INET6) {
      const auto& v6 = *static_cast<const sockaddr_in6*>(header.msg_name);
      received.path.peer = {IpAddress(v6.sin6_addr), ntohs(v6.sin6_port)};
      received.path.scope = v6.sin6_scope_id;
    } else {
      const auto& v4 = *static_cast<const sockaddr_in*>(header.msg_name);
      received.path.peer = {IpAddress(v4.sin_addr), ntohs(v4.sin_port)};
    }
  }
  for (const cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr;
       control = CMSG_NXTHDR(&header, const_cast<cmsghdr*>(control)))
    parse_control(control, received);
  const auto size = static_cast<std::uint32_t>(message.msg_len);
  if (received.run.segment_size == 0 || received.run.segment_size > size)
    received.run.segment_size = size;
}

}  // namespace nsrelay
