#include "service.hpp"

#include <netinet/udp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <vector>

#include "datagrams.hpp"
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

/// The UDP port.
class DatagramService {
 public:
  explicit DatagramService(const sockaddr_in& address) : socket_(bind_udp(address)) {}

  [[nodiscard]] int fd() const { return socket_.get(); }

  void on_readable() {
    const std::size_t count = datagrams_.receive(socket_.get());
    std::size_t echoes = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto data = datagrams_[i];
      if (data.empty() || data.front() == std::byte{service::kEcho})
        ++echoes;
      else if (data.front() == std::byte{service::kSink})
        bytes_ += data.size();
      else
        count_for(i);
    }
    // A client does one kind of work at a time.
    if (echoes == count)
      datagrams_.send_back(socket_.get(), count);
  }

 private:
  /// Who asks sends bursts: they are taken whole, as a receiver that cares for speed does.
  void count_for(std::size_t i) {
    const int on = 1;
    if (::setsockopt(socket_.get(), SOL_UDP, UDP_GRO, &on, sizeof on) != 0)
      fail("UDP_GRO");
    datagrams_.answer(socket_.get(), i, std::as_bytes(std::span(&bytes_, 1)));
  }

  UniqueFd socket_;
  Datagrams datagrams_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

void serve(const sockaddr_in& address) {
  Backend backend;
  const UniqueFd listener = listen_on(address);
  backend.poller.add(listener.get(), EPOLLIN, nullptr);
  DatagramService datagrams(address);
  backend.poller.add(datagrams.fd(), EPOLLIN, &datagrams);
  for (;;) {
    for (const epoll_event& event : backend.poller.wait(Clock::time_point::max())) {
      if (event.data.ptr == &datagrams) {
        datagrams.on_readable();
        continue;
      }
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
