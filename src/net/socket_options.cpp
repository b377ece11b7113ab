#include "nsrelay/net/socket_options.hpp"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <limits>

namespace nsrelay {
namespace {

int clamp_to_int(std::uint64_t value) {
  return static_cast<int>(
      std::min<std::uint64_t>(value, static_cast<std::uint64_t>(std::numeric_limits<int>::max())));
}

Result<void> set_text_option(int fd, int level, int option, const std::string& value,
                             const char* what) {
  if (::setsockopt(fd, level, option, value.data(), static_cast<socklen_t>(value.size())) != 0)
    return Error::from_errno(std::string(what) + " " + value);
  return {};
}

Result<void> set_keepalive(int fd, Duration idle) {
  if (auto set = set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE"); !set)
    return set;
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(idle).count();
  return set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(seconds), "TCP_KEEPIDLE");
}

int query(int fd, unsigned long request) noexcept {
  int bytes = 0;
  return ::ioctl(fd, request, &bytes) == 0 ? bytes : 0;
}

}  // namespace

Result<void> set_option(int fd, int level, int option, int value, const char* what) {
  if (::setsockopt(fd, level, option, &value, sizeof value) != 0)
    return Error::from_errno(what);
  return {};
}

Result<void> apply_tcp_options(int fd, const TcpOptions& options) {
  // Fails on MPTCP, which has no urgent bytes.
  (void)set_option(fd, SOL_SOCKET, SO_OOBINLINE, 1, "SO_OOBINLINE");
  Result<void> set;
  if (options.nodelay)
    set = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
  if (set && options.keepalive)
    set = set_keepalive(fd, *options.keepalive);
  if (set && options.user_timeout)
    set = set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
                     clamp_to_int(static_cast<std::uint64_t>(options.user_timeout->count())),
                     "TCP_USER_TIMEOUT");
  if (set && !options.congestion.empty())
    set = set_text_option(fd, IPPROTO_TCP, TCP_CONGESTION, options.congestion, "TCP_CONGESTION");
  if (set && options.receive_buffer)
    set = set_option(fd, SOL_SOCKET, SO_RCVBUF, clamp_to_int(options.receive_buffer->bytes),
                     "SO_RCVBUF");
  if (set && options.send_buffer)
    set = set_option(fd, SOL_SOCKET, SO_SNDBUF, clamp_to_int(options.send_buffer->bytes),
                     "SO_SNDBUF");
  return set;
}

Result<void> change_tcp_options(int fd, const TcpOptions& before, const TcpOptions& after) {
  Result<void> set;
  if (before.nodelay && !after.nodelay)
    set = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 0, "TCP_NODELAY");
  if (set && before.keepalive && !after.keepalive)
    set = set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 0, "SO_KEEPALIVE");
  if (set && before.user_timeout && !after.user_timeout)
    set = set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 0, "TCP_USER_TIMEOUT");
  return set ? apply_tcp_options(fd, after) : set;
}

Result<void> bind_to_device(int fd, const std::string& device) {
  return set_text_option(fd, SOL_SOCKET, SO_BINDTODEVICE, device, "bind to device");
}

bool bound_receive_buffer(int fd, ByteSize most) noexcept {
  const int bytes = clamp_to_int(most.bytes);  // the kernel doubles it for its own overhead
  const bool fixed = ::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) == 0;
  ::setsockopt(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &bytes, sizeof bytes);
  return fixed;
}

void hold_handshake_ack(int fd) noexcept {
  const int at_once = 0;
  ::setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &at_once, sizeof at_once);
}

void push_ack(int fd) noexcept {
  const int at_once = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &at_once, sizeof at_once);
}

void reset_on_close(int fd, bool on) noexcept {
  const linger abort{on ? 1 : 0, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
}

int unacknowledged_bytes(int fd) noexcept {
  return query(fd, SIOCOUTQ);
}

int readable_bytes(int fd) noexcept {
  return query(fd, SIOCINQ);
}

std::optional<IpEndpoint> local_endpoint(int fd) noexcept {
  SocketAddress address;
  if (::getsockname(fd, address.data(), address.size_to_fill()) != 0)
    return std::nullopt;
  const bool is_ip = address.family() == AF_INET || address.family() == AF_INET6;
  return is_ip ? std::optional(address.endpoint()) : std::nullopt;
}

int take_socket_error(int fd) noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

}  // namespace nsrelay
