#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <span>
#include <string_view>

#include "nsrelay/base/unique_fd.hpp"

namespace nsrelay::bench {

/// What one send() or recv() moves at most.
constexpr std::size_t kChunkBytes = std::size_t{128} * 1024;

/// Prints `what`, and the text of errno where it is set, to stderr; ends the program with status 1.
[[noreturn]] void fail(std::string_view what);

/// Reads `A.B.C.D:PORT`; anything else ends the program.
sockaddr_in parse_address(std::string_view text);

/// A listening, non-blocking socket with the longest backlog that the kernel gives.
UniqueFd listen_on(const sockaddr_in& address);

/// A non-blocking socket with TCP_NODELAY whose connect has begun. Empty, with errno, where the
/// kernel refused at once (no port, no descriptor).
UniqueFd begin_connect(const sockaddr_in& address);

/// A UDP socket bound to `address`, with large buffers.
UniqueFd bind_udp(const sockaddr_in& address);

/// A UDP socket connected to `address`, with large buffers.
UniqueFd connect_udp(const sockaddr_in& address);

/// The result of a connect that has ended: 0, or the errno.
int connect_error(int fd);

/// FIN; what the other side still sends is read on.
void send_fin(int fd);

/// Writes all of `bytes` to a socket whose buffer has room for them; false where it has not, or
/// where the connection is gone.
bool send_all(int fd, std::span<const std::byte> bytes);

/// What receive() and discard() have to say.
enum class Received { Bytes, Nothing, End };

/// Takes up to `count` bytes from the socket and drops them without copying (MSG_TRUNC, tcp(7)).
/// A reset is an End, with errno set; a FIN leaves it 0. `taken` is set for Bytes.
Received discard(int fd, std::size_t count, std::size_t& taken);

/// Reads into `buffer`; a reset is an End. `taken` is set for Bytes.
Received receive(int fd, std::span<std::byte> buffer, std::size_t& taken);

/// Raises the limit of open files to what the process may have.
void raise_descriptor_limit();

}  // namespace nsrelay::bench
