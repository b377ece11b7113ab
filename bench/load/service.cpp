#include "service.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <vector>

#include "poller.hpp"
#include "socket.hpp"

namespace nsrelay::bench {
namespace {

/// What all connections share.
struct Backend {
  Poller poller;
  std::array<std::byte, kChunkBytes> buffer{};
};

/// One accepted connection; deletes itself at its end.
class Connection {
 public:
  Connection(Backend& backend, UniqueFd socket) : backend_(backend), socket_(std::move(socket)) {
    backend_.poller.add(socket_.get(), EPOLLIN, this);
  }

  void on_event(std::uint32_t events) {
    const bool goes_on = (events & EPOLLIN) != 0 ? on_readable() : on_writable();
    if (!goes_on)
      delete this;
  }

 private:
  bool on_readable() {
    std::size_t taken = 0;
    const Received received = service_ == service::kSink
                                  ? discard(socket_.get(), 8 * kChunkBytes, taken)
                                  : receive(socket_.get(), backend_.buffer, taken);
    if (received != Received::Bytes)
      return received == Received::Nothing;
    const auto data = std::span(backend_.buffer).first(std::min(taken, kChunkBytes));
    if (service_ == 0)
      return begin(data);
    if (service_ == service::kEcho)
      return send_all(socket_.get(), data);
    if (service_ == service::kSource)
      backend_.poller.change(socket_.get(), EPOLLIN | EPOLLOUT, this);
    return true;
  }

  bool begin(std::span<const std::byte> data) {
    service_ = static_cast<char>(data.front());
    return send_all(socket_.get(), service_ == service::kEcho ? data : data.first(1));
  }

  bool on_writable() {
    const ssize_t count =
        ::send(socket_.get(), backend_.buffer.data(), backend_.buffer.size(), MSG_NOSIGNAL);
    return count >= 0 || errno == EAGAIN;
  }

  Backend& backend_;
  UniqueFd socket_;
  char service_ = 0;
};

}  // namespace

void serve(const sockaddr_in& address) {
  Backend backend;
  const UniqueFd listener = listen_on(address);
  backend.poller.add(listener.get(), EPOLLIN, nullptr);
  for (;;) {
    for (const epoll_event& event : backend.poller.wait(Clock::time_point::max())) {
      if (event.data.ptr != nullptr) {
        static_cast<Connection*>(event.data.ptr)->on_event(event.events);
        continue;
      }
      while (UniqueFd socket = UniqueFd::adopt(
                 ::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)))
        new Connection(backend, std::move(socket));
    }
  }
}

}  // namespace nsrelay::bench
