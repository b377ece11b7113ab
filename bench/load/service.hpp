#pragma once

#include <netinet/in.h>

namespace nsrelay::bench {

/// The first byte of a connection says what the backend does with it. It comes back at once, so
/// that the client knows that the path is open end to end. Of UDP, the first of each datagram.
namespace service {
constexpr char kEcho = 'e';    ///< Every byte comes back.
constexpr char kSink = 'u';    ///< Bytes are dropped; FIN is answered by FIN.
constexpr char kSource = 'd';  ///< From the second byte of the client to its FIN, bytes are sent.
constexpr char kCount = 'c';   ///< UDP only: answered by how many bytes came for kSink.
}  // namespace service

/// Serves connections, and datagrams on the UDP port of the same number, until the process is
/// killed.
[[noreturn]] void serve(const sockaddr_in& address);

}  // namespace nsrelay::bench
