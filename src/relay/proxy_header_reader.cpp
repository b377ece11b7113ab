#include "nsrelay/relay/proxy_header_reader.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace nsrelay {

ProxyHeaderReader::Step ProxyHeaderReader::read(int fd, bool ended) noexcept {
  Step step = Step::Done;
  if (header_.status == ProxyHeader::Status::Incomplete)
    step = look(fd);
  if (step == Step::Done)
    step = skip(fd);
  if (step != Step::Wait || !ended)
    return step;
  header_.fault = "the stream ended within it";
  return Step::Ended;
}

/// Done: what it says is known.
ProxyHeaderReader::Step ProxyHeaderReader::look(int fd) noexcept {
  std::array<std::byte, kProxyHeaderPrefix> seen;
  const ssize_t count = ::recv(fd, seen.data(), seen.size(), MSG_PEEK);
  if (count <= 0)
    return on_nothing(count == 0, errno);
  header_ = parse_proxy_header(std::span(seen).first(static_cast<std::size_t>(count)));
  unread_ = header_.length;
  if (header_.status == ProxyHeader::Status::Incomplete)
    return Step::Wait;
  return header_.status == ProxyHeader::Status::Complete ? Step::Done : Step::Invalid;
}

/// Done: nothing of it is left in the socket.
ProxyHeaderReader::Step ProxyHeaderReader::skip(int fd) noexcept {
  std::array<std::byte, 2048> ignored;
  while (unread_ > 0) {
    const ssize_t count = ::recv(fd, ignored.data(), std::min(unread_, ignored.size()), 0);
    if (count <= 0)
      return on_nothing(count == 0, errno);
    unread_ -= static_cast<std::size_t>(count);
  }
  return Step::Done;
}

ProxyHeaderReader::Step ProxyHeaderReader::on_nothing(bool at_end, int error) noexcept {
  if (at_end) {
    header_.fault = "the stream ended before it";
    return Step::Ended;
  }
  return error == EAGAIN || error == EINTR ? Step::Wait : Step::Failed;
}

}  // namespace nsrelay
