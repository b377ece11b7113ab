#pragma once

#include <netinet/in.h>

namespace nsrelay::bench {

/// The first byte of a connection says what the backend does with it. It comes back at once, so
/// that the client knows that the path is open end to end.
namespace service {
constexpr char kEcho = 'e';    ///< Every byte comes back.
constexpr char kSink = 'u';    ///< Bytes are dropped; FIN is answered by FIN.
constexpr char kSource = 'd';  ///< From the second byte of the client to its FIN, bytes are sent.
}  // namespace service

/// Serves connections until the process is killed.
[[noreturn]] void serve(const sockaddr_in& address);

}  // namespace nsrelay::bench
