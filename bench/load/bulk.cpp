#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "opening.hpp"
#include "service.hpp"
#include "socket.hpp"
#include "workload.hpp"

namespace nsrelay::bench {
namespace {

// How long what is on its way at the end may take to arrive.
constexpr auto kDrain = std::chrono::seconds(3);

/// Bytes one way. The end is a FIN of the client, which makes a source stop and a sink answer; the
/// answering FIN says that every byte has passed, so none is counted that is still in a buffer.
class Bulk : public Workload {
 public:
  Bulk(const ClientOptions& options, bool download) : options_(options), download_(download) {}

  void prepare() override {
    sockets_ = open_all(options_, download_ ? service::kSource : service::kSink);
  }

  Report run() override {
    const auto started = Clock::now();
    const auto end = after(started, options_.seconds);
    begin();
    while (Clock::now() < end && ended_ < sockets_.size())
      step(end);
    finishing_ = true;
    for (UniqueFd& socket : sockets_)
      finish(socket);
    while (ended_ < sockets_.size() && Clock::now() < end + kDrain)
      step(end + kDrain);
    report_.errors += sockets_.size() - ended_;
    report_.seconds = std::chrono::duration<double>(last_ - started).count();
    return std::move(report_);
  }

 private:
  void begin() {
    const std::byte go{};
    for (UniqueFd& socket : sockets_) {
      if (download_)
        send_all(socket.get(), {&go, 1});
      poller_.add(socket.get(), download_ ? EPOLLIN : EPOLLOUT, &socket);
    }
  }

  void finish(UniqueFd& socket) {
    if (!socket)
      return;
    send_fin(socket.get());
    poller_.change(socket.get(), EPOLLIN, &socket);
  }

  void step(Clock::time_point deadline) {
    for (const epoll_event& event : poller_.wait(deadline)) {
      auto& socket = *static_cast<UniqueFd*>(event.data.ptr);
      if (download_ || finishing_)
        read(socket);
      else
        write(socket);
      last_ = Clock::now();
    }
  }

  void read(UniqueFd& socket) {
    std::size_t taken = 0;
    const Received received = discard(socket.get(), 8 * kChunkBytes, taken);
    if (received == Received::Bytes)
      report_.units += taken;
    if (received == Received::End)
      close(socket);
  }

  void write(UniqueFd& socket) {
    const ssize_t count = ::send(socket.get(), chunk_.data(), chunk_.size(), MSG_NOSIGNAL);
    if (count >= 0)
      report_.units += static_cast<std::uint64_t>(count);
    else if (errno != EAGAIN)
      close(socket);
  }

  void close(UniqueFd& socket) {
    socket.close();
    ++ended_;
    if (!finishing_)
      ++report_.errors;
  }

  ClientOptions options_;
  bool download_;
  bool finishing_ = false;
  Poller poller_;
  std::vector<UniqueFd> sockets_;
  std::size_t ended_ = 0;
  Clock::time_point last_;
  Report report_;
  std::array<std::byte, kChunkBytes> chunk_{};
};

}  // namespace

std::unique_ptr<Workload> make_bulk(const ClientOptions& options, bool download) {
  return std::make_unique<Bulk>(options, download);
}

}  // namespace nsrelay::bench
