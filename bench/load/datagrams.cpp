#include "datagrams.hpp"

#include <algorithm>

namespace nsrelay::bench {

Datagrams::Datagrams() : memory_(kMost * kLongest) {}

std::size_t Datagrams::receive(int fd) {
  for (std::size_t i = 0; i < kMost; ++i) {
    parts_[i] = {&memory_[i * kLongest], kLongest};
    messages_[i].msg_hdr = {};
    messages_[i].msg_hdr.msg_name = &senders_[i];
    messages_[i].msg_hdr.msg_namelen = sizeof senders_[i];
    messages_[i].msg_hdr.msg_iov = &parts_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
  }
  return static_cast<std::size_t>(
      std::max(0, ::recvmmsg(fd, messages_.data(), kMost, MSG_DONTWAIT, nullptr)));
}

std::size_t Datagrams::send_back(int fd, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    parts_[i].iov_len = messages_[i].msg_len;
  return static_cast<std::size_t>(
      std::max(0, ::sendmmsg(fd, messages_.data(), static_cast<unsigned>(count), MSG_DONTWAIT)));
}

void Datagrams::answer(int fd, std::size_t i, std::span<const std::byte> data) {
  (void)::sendto(fd, data.data(), data.size(), MSG_DONTWAIT,
                 reinterpret_cast<const sockaddr*>(&senders_[i]), messages_[i].msg_hdr.msg_namelen);
}

std::span<const std::byte> Datagrams::operator[](std::size_t i) const {
  return {&memory_[i * kLongest], messages_[i].msg_len};
}

}  // namespace nsrelay::bench
