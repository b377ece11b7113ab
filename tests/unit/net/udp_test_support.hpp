#pragma once

#include <gtest/gtest.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/net/datagram_receiver.hpp"
#include "nsrelay/net/datagram_sender.hpp"
#include "nsrelay/net/socket_address.hpp"
#include "nsrelay/net/udp_options.hpp"

namespace nsrelay {

/// A UDP socket on the loopback with everything that forwarding sets.
class UdpSocket {
 public:
  explicit UdpSocket(const char* address = "127.0.0.1") {
    const SocketAddress bound(IpEndpoint{*IpAddress::parse(address), 0});
    fd_ = UniqueFd::adopt(::socket(bound.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    EXPECT_TRUE(apply_udp_options(fd(), bound.family(), {}));
    EXPECT_TRUE(report_local_address(fd(), bound.family()));
    EXPECT_EQ(::bind(fd(), bound.data(), bound.size()), 0);
    ::getsockname(fd(), address_.data(), address_.size_to_fill());
  }

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] IpEndpoint endpoint() const { return address_.endpoint(); }
  void connect_to(const UdpSocket& other) const {
    EXPECT_EQ(::connect(fd(), other.address_.data(), other.address_.size()), 0);
  }

  /// Whether what arrives from now on may come in bursts.
  void take_bursts(int wanted) const {
    EXPECT_EQ(::setsockopt(fd(), SOL_UDP, UDP_GRO, &wanted, sizeof wanted), 0);
  }

  /// The payloads of the next `count` datagrams.
  [[nodiscard]] std::vector<std::string> read(std::size_t count) const {
    std::vector<std::string> read;
    std::string buffer(65536, '\0');
    pollfd ready{fd(), POLLIN, 0};
    while (read.size() < count && ::poll(&ready, 1, 5000) == 1)
      read.emplace_back(buffer.data(),
                        static_cast<std::size_t>(::recv(fd(), buffer.data(), buffer.size(), 0)));
    return read;
  }

 private:
  UniqueFd fd_;
  SocketAddress address_;
};

inline DatagramRun run_of(std::string_view text, std::size_t segment_size = 0,
                          std::uint8_t traffic_class = 0) {
  return {std::as_bytes(std::span(text.data(), text.size())),
          static_cast<std::uint32_t>(segment_size == 0 ? text.size() : segment_size),
          traffic_class};
}

inline std::string text_of(const DatagramRun& run) {
  return {reinterpret_cast<const char*>(run.data.data()), run.data.size()};
}

}  // namespace nsrelay
