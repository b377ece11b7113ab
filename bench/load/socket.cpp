#include "socket.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

namespace nsrelay::bench {
namespace {

Received outcome(ssize_t count, std::size_t& taken) {
  if (count > 0) {
    taken = static_cast<std::size_t>(count);
    return Received::Bytes;
  }
  if (count < 0 && (errno == EAGAIN || errno == EINTR))
    return Received::Nothing;
  if (count == 0)
    errno = 0;
  return Received::End;
}

const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

UniqueFd make_udp() {
  UniqueFd fd = UniqueFd::adopt(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int bytes = 4 * 1024 * 1024;
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0 ||
      ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
    fail("socket");
  return fd;
}

}  // namespace

void fail(std::string_view what) {
  const int error = errno;
  std::cerr << "nsrelay_load: " << what;
  if (error != 0)
    std::cerr << ": " << std::strerror(error);
  std::cerr << '\n';
  std::exit(1);
}

sockaddr_in parse_address(std::string_view text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  const auto colon = text.find(':');
  std::uint16_t port = 0;
  errno = EINVAL;
  if (colon == std::string_view::npos ||
      std::from_chars(text.data() + colon + 1, text.data() + text.size(), port).ec != std::errc{} ||
      ::inet_pton(AF_INET, std::string(text.substr(0, colon)).c_str(), &address.sin_addr) != 1)
    fail(text);
  address.sin_port = htons(port);
  return address;
}

UniqueFd listen_on(const sockaddr_in& address) {
  UniqueFd fd = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
      ::bind(fd.get(), generic(address), sizeof address) != 0 || ::listen(fd.get(), 65535) != 0)
    fail("listen");
  return fd;
}

UniqueFd begin_connect(const sockaddr_in& address) {
  UniqueFd fd = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (!fd || ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
    return {};
  if (::connect(fd.get(), generic(address), sizeof address) != 0 && errno != EINPROGRESS)
    return {};
  return fd;
}

UniqueFd bind_udp(const sockaddr_in& address) {
  UniqueFd fd = make_udp();
  if (::bind(fd.get(), generic(address), sizeof address) != 0)
    fail("bind");
  return fd;
}

UniqueFd connect_udp(const sockaddr_in& address) {
  UniqueFd fd = make_udp();
  if (::connect(fd.get(), generic(address), sizeof address) != 0)
    fail("connect");
  return fd;
}

int connect_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

void send_fin(int fd) {
  ::shutdown(fd, SHUT_WR);
}

bool send_all(int fd, std::span<const std::byte> bytes) {
  return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == std::ssize(bytes);
}

Received discard(int fd, std::size_t count, std::size_t& taken) {
  return outcome(::recv(fd, nullptr, count, MSG_TRUNC), taken);
}

Received receive(int fd, std::span<std::byte> buffer, std::size_t& taken) {
  return outcome(::recv(fd, buffer.data(), buffer.size(), 0), taken);
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace nsrelay::bench
