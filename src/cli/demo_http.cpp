#include "demo_http.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "nsrelay/net/io_result.hpp"
#include "nsrelay/netns/netns_scope.hpp"

namespace nsrelay {
namespace {

constexpr Duration kPatience{5000};
constexpr std::size_t kBulk = std::size_t{64} * 1024 * 1024;

bool send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0)
      return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

/// The path of a request: reads up to its empty line.
std::string read_request(int fd) {
  std::string request;
  std::array<char, 4096> buffer;
  while (request.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got <= 0 || request.size() > 64 * 1024)
      return "";
    request.append(buffer.data(), static_cast<std::size_t>(got));
  }
  const std::size_t begin = request.find(' ') + 1;
  return request.substr(begin, request.find(' ', begin) - begin);
}

void send_bulk(int fd) {
  const std::string block(std::size_t{256} * 1024, 'x');
  for (std::size_t sent = 0; sent < kBulk; sent += block.size())
    if (!send_all(fd, block))
      return;
}

void answer(int fd, const std::string& host) {
  const std::string path = read_request(fd);
  if (path.empty())
    return;
  const std::string text = "hello from " + host + "\n";
  const std::size_t size = path == "/bulk" ? kBulk : text.size();
  if (!send_all(fd, "HTTP/1.0 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n"))
    return;
  if (path == "/bulk")
    send_bulk(fd);
  else
    send_all(fd, text);
}

Result<UniqueFd> connect_in(const Interruptible& signals, const Netns& netns,
                            const SocketAddress& server) {
  auto socket = make_socket_in(netns, server.family(), SOCK_STREAM, 0);
  if (!socket)
    return socket;
  if (::connect(socket->get(), server.data(), server.size()) != 0 && errno != EINPROGRESS)
    return Error::from_errno("connect");
  if (auto ready = signals.wait_for(socket->get(), POLLOUT, kPatience); !ready)
    return std::move(ready).error();
  return socket;
}

/// Reads to the end of the stream; keeps the beginning, counts the rest.
Result<std::size_t> read_answer(const Interruptible& signals, int fd, std::string& beginning) {
  std::array<std::byte, std::size_t{64} * 1024> buffer;
  std::size_t total = 0;
  for (;;) {
    const IoResult got = receive(fd, buffer);
    if (got.status == IoStatus::Eof)
      return total;
    if (got.status == IoStatus::Error)
      return Error::from_errno("receive", got.error);
    if (beginning.size() < 4096)
      beginning.append(reinterpret_cast<const char*>(buffer.data()),
                       std::min<std::size_t>(got.bytes, 4096));
    total += got.bytes;
    if (got.status != IoStatus::Ok)
      if (auto ready = signals.wait_for(fd, POLLIN, kPatience); !ready)
        return std::move(ready).error();
  }
}

}  // namespace

Result<DemoAnswer> fetch(const Interruptible& signals, const Netns& netns,
                         const SocketAddress& server, const std::string& path) {
  const auto began = std::chrono::steady_clock::now();
  auto socket = connect_in(signals, netns, server);
  if (!socket)
    return std::move(socket).error();
  if (!send_all(socket->get(), "GET " + path + " HTTP/1.0\r\n\r\n"))
    return Error::from_errno("send");
  std::string beginning;
  auto total = read_answer(signals, socket->get(), beginning);
  if (!total)
    return std::move(total).error();
  const std::size_t head = beginning.find("\r\n\r\n");
  if (!beginning.starts_with("HTTP/1.0 ") || head == std::string::npos)
    return Error("no HTTP answer");
  DemoAnswer answer;
  answer.time = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - began);
  answer.status = beginning.substr(9, beginning.find("\r\n") - 9);
  answer.body_bytes = *total - head - 4;
  const std::string body = beginning.substr(head + 4);
  if (body.find('\n') != std::string::npos)
    answer.snippet = body.substr(0, body.find('\n'));
  return answer;
}

void serve_http(int listening_socket, const std::string& host) {
  for (;;) {
    const UniqueFd client =
        UniqueFd::adopt(::accept4(listening_socket, nullptr, nullptr, SOCK_CLOEXEC));
    if (client)
      answer(client.get(), host);
    else if (errno != EINTR && errno != ECONNABORTED)
      ::_exit(EXIT_FAILURE);
  }
}

}  // namespace nsrelay
