#pragma once

#include <cstddef>
#include <string>

#include "interruptible.hpp"
#include "nsrelay/net/socket_address.hpp"
#include "nsrelay/netns/netns.hpp"

namespace nsrelay {

/// What came back for a request.
struct DemoAnswer {
  std::string status;   ///< "200 OK"
  std::string snippet;  ///< the first line of the body, when it is text
  std::size_t body_bytes = 0;
  std::chrono::microseconds time{};
};

/// Fetches `path` over HTTP/1.0 from `server`, with a socket inside `netns`.
Result<DemoAnswer> fetch(const Interruptible& signals, const Netns& netns,
                         const SocketAddress& server, const std::string& path);

/// Answers requests on a listening socket, one after the other, for ever: `/bulk` with 64 MiB,
/// anything else with a line of text that names `host`. For a child process.
[[noreturn]] void serve_http(int listening_socket, const std::string& host);

}  // namespace nsrelay
