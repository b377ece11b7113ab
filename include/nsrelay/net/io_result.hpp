#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nsrelay {

class Pipe;

enum class IoStatus : std::uint8_t {
  Ok,          ///< `bytes` were moved, at least one
  WouldBlock,  ///< nothing now; the next edge of epoll will say when
  Eof,         ///< the peer's FIN, everything before it has been read
  NoMemory,    ///< ENOMEM or ENOBUFS: nothing was moved and no edge will come; try again later
  Error,       ///< `error` is the errno
};

/// What one call of the data path did. Calls interrupted by a signal are repeated inside.
struct IoResult {
  IoStatus status = IoStatus::WouldBlock;
  int error = 0;
  std::size_t bytes = 0;
};

/// recv(2) into `buffer`, which must not be empty.
IoResult receive(int fd, std::span<std::byte> buffer) noexcept;

/// send(2) of as much of `data` (not empty) as the kernel takes, without SIGPIPE.
IoResult send(int fd, std::span<const std::byte> data) noexcept;

/// splice(2) from a socket into an empty pipe, at most the pipe's capacity; the pipe counts what
/// it holds. EINVAL where the socket's family cannot be spliced.
IoResult splice_from(int fd, Pipe& pipe) noexcept;

/// splice(2) of what the pipe holds into a socket; the pipe counts down. SIGPIPE must be ignored.
IoResult splice_to(int fd, Pipe& pipe) noexcept;

}  // namespace nsrelay
