#include "nsrelay/net/io_result.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>

#include "nsrelay/net/pipe_pool.hpp"

namespace nsrelay {
namespace {

template <class Call>
IoResult classify(Call call) noexcept {
  ssize_t count = 0;
  do
    count = call();
  while (count < 0 && errno == EINTR);
  if (count > 0)
    return {IoStatus::Ok, 0, static_cast<std::size_t>(count)};
  if (count == 0)
    return {IoStatus::Eof, 0, 0};
  if (errno == EAGAIN)
    return {IoStatus::WouldBlock, 0, 0};
  if (errno == ENOMEM || errno == ENOBUFS)
    return {IoStatus::NoMemory, errno, 0};
  return {IoStatus::Error, errno, 0};
}

constexpr unsigned kSpliceFlags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;

}  // namespace

IoResult receive(int fd, std::span<std::byte> buffer) noexcept {
  return classify([&] { return ::recv(fd, buffer.data(), buffer.size(), 0); });
}

IoResult send(int fd, std::span<const std::byte> data) noexcept {
  return classify([&] { return ::send(fd, data.data(), data.size(), MSG_NOSIGNAL); });
}

IoResult splice_from(int fd, Pipe& pipe) noexcept {
  const IoResult result = classify([&] {
    return ::splice(fd, nullptr, pipe.write_end(), nullptr, pipe.capacity(), kSpliceFlags);
  });
  pipe.add(result.bytes);
  return result;
}

IoResult splice_to(int fd, Pipe& pipe) noexcept {
  const IoResult result = classify(
      [&] { return ::splice(pipe.read_end(), nullptr, fd, nullptr, pipe.size(), kSpliceFlags); });
  pipe.remove(result.bytes);
  return result;
}

}  // namespace nsrelay
