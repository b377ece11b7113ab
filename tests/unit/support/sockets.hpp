#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>

#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/net/socket_address.hpp"

namespace nsrelay::test {

/// How long a test waits for what must come. Only a failing test ever waits so long.
inline constexpr std::chrono::seconds kPatience{10};

/// Two sockets that are connected to each other; neither blocks.
struct SocketPair {
  UniqueFd near;
  UniqueFd far;
};

inline SocketAddress loopback(std::uint16_t port = 0) {
  return SocketAddress(IpEndpoint{*IpAddress::parse("127.0.0.1"), port});
}

/// The address that a socket is bound to.
inline SocketAddress local_address(const UniqueFd& socket) {
  SocketAddress address;
  EXPECT_EQ(::getsockname(socket.get(), address.data(), address.size_to_fill()), 0);
  return address;
}

inline std::uint16_t local_port(const UniqueFd& socket) {
  return local_address(socket).endpoint().port;
}

inline UniqueFd make_socket(int family, int type = SOCK_STREAM) {
  UniqueFd socket = UniqueFd::adopt(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  EXPECT_TRUE(socket) << errno_text(errno);
  return socket;
}

/// A listening socket at `address`, by default at a port of 127.0.0.1 that the kernel chooses.
inline UniqueFd make_listener(const SocketAddress& address = loopback(), int backlog = 64) {
  UniqueFd socket = make_socket(address.family());
  EXPECT_EQ(::bind(socket.get(), address.data(), address.size()), 0) << errno_text(errno);
  EXPECT_EQ(::listen(socket.get(), backlog), 0);
  return socket;
}

/// A port of 127.0.0.1 at which nobody listens: bound, so that nobody else gets it.
inline UniqueFd reserve_port(const SocketAddress& address = loopback()) {
  UniqueFd socket = make_socket(address.family());
  EXPECT_EQ(::bind(socket.get(), address.data(), address.size()), 0) << errno_text(errno);
  return socket;
}

/// Whether any of `events` (poll(2)) comes within kPatience.
inline bool wait_for(const UniqueFd& fd, short events) {
  pollfd waiting{fd.get(), events, 0};
  return ::poll(&waiting, 1, static_cast<int>(std::chrono::milliseconds(kPatience).count())) == 1;
}

inline bool is_ready(const UniqueFd& fd, short events) {
  pollfd waiting{fd.get(), events, 0};
  return ::poll(&waiting, 1, 0) == 1;
}

/// A socket that connects to `address`; on loopback the handshake is over when this returns.
inline UniqueFd connect_to(const SocketAddress& address) {
  UniqueFd socket = make_socket(address.family());
  const bool connected = ::connect(socket.get(), address.data(), address.size()) == 0;
  EXPECT_TRUE(connected || errno == EINPROGRESS) << errno_text(errno);
  return socket;
}

inline UniqueFd accept_from(const UniqueFd& listener) {
  EXPECT_TRUE(wait_for(listener, POLLIN));
  return UniqueFd::adopt(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

inline SocketPair make_tcp_pair() {
  const UniqueFd listener = make_listener();
  SocketPair pair;
  pair.near = connect_to(local_address(listener));
  pair.far = accept_from(listener);
  EXPECT_TRUE(wait_for(pair.near, POLLOUT));
  return pair;
}

inline SocketPair make_unix_pair(int type = SOCK_STREAM) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  return {UniqueFd::adopt(ends[0]), UniqueFd::adopt(ends[1])};
}

/// The next `send` fails or resets, because `socket` was closed with a reset.
inline void reset(UniqueFd& socket) {
  const linger abort{1, 0};
  EXPECT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort), 0);
  socket.close();
}

inline void send_text(const UniqueFd& socket, std::string_view text) {
  EXPECT_EQ(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()))
      << errno_text(errno);
}

/// What can be read now, at most `most` bytes.
inline std::string receive_text(const UniqueFd& socket, std::size_t most = 65536) {
  std::string text(most, '\0');
  const ssize_t count = ::recv(socket.get(), text.data(), text.size(), 0);
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return text;
}

/// Whether the peer's FIN has been read: call it when everything before it was.
inline bool is_at_end(const UniqueFd& socket) {
  char byte;
  return ::recv(socket.get(), &byte, 1, MSG_PEEK) == 0;
}

/// Whether a read fails with ECONNRESET now.
inline bool is_reset(const UniqueFd& socket) {
  char byte;
  return ::recv(socket.get(), &byte, 1, MSG_PEEK) < 0 && errno == ECONNRESET;
}

inline int int_option(const UniqueFd& socket, int level, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(socket.get(), level, option, &value, &size), 0) << errno_text(errno);
  return value;
}

}  // namespace nsrelay::test
