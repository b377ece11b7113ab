#pragma once

#include <cstddef>
#include <cstdint>

#include "nsrelay/net/proxy_header.hpp"

namespace nsrelay {

/// Takes the PROXY header off the front of a stream, however it is cut into segments, and not a
/// byte of what follows.
///
/// Theory of operation. The first bytes are only looked at (MSG_PEEK) until they say how long the
/// header is; then exactly that much is read, TLVs included.
class ProxyHeaderReader {
 public:
  enum class Step : std::uint8_t {
    Wait,     ///< more of it has to come
    Done,     ///< the header has been read
    Invalid,  ///< there is none: see fault()
    Ended,    ///< the stream ended before the header did
    Failed,   ///< the connection is dead
  };

  /// Reads as much as there is. `ended`: the peer's FIN has arrived, nothing more will come.
  Step read(int fd, bool ended) noexcept;

  /// When Done.
  [[nodiscard]] const ProxyHeader& header() const { return header_; }
  /// When Invalid or Ended: why, for a person.
  [[nodiscard]] std::string_view fault() const { return header_.fault; }

 private:
  Step look(int fd) noexcept;
  Step skip(int fd) noexcept;
  Step on_nothing(bool at_end, int error) noexcept;

  ProxyHeader header_;
  std::size_t unread_ = 0;  ///< bytes of the header that are still in the socket
};

}  // namespace nsrelay
