#pragma once

#include <cstdint>
#include <utility>

#include "nsrelay/base/result.hpp"
#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/event/event_loop.hpp"

namespace nsrelay {

/// Tells one callback about the events of one descriptor. Borrows the loop and the descriptor:
/// both must outlive it (declare the watcher behind the descriptor). Stops when destroyed.
class IoWatcher {
 public:
  explicit IoWatcher(EventLoop& loop) : loop_(&loop) {}
  IoWatcher(IoWatcher&& other) noexcept
      : loop_(other.loop_), fd_(std::exchange(other.fd_, -1)), slot_(other.slot_) {}
  IoWatcher& operator=(IoWatcher&& other) noexcept;
  IoWatcher(const IoWatcher&) = delete;
  IoWatcher& operator=(const IoWatcher&) = delete;
  ~IoWatcher() { stop(); }

  /// Registers `fd` for `events` (EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLET, …; EPOLLERR and EPOLLHUP
  /// come unasked). Fails with the error of epoll_ctl(2): ENOMEM, ENOSPC, or EPERM for a
  /// descriptor that cannot be polled. Must not be watching already.
  Result<void> start(int fd, std::uint32_t events, IoCallback callback);

  /// Changes the events; 0 silences all but EPOLLERR and EPOLLHUP.
  Result<void> set_events(std::uint32_t events);

  /// Events go to another callback from now on, without a system call: how a connecting socket
  /// is handed to the relay.
  void redirect(IoCallback callback);

  /// Deregisters. No event arrives after it, fetched ones included. Does nothing when stopped.
  void stop();

  /// stop() and close `fd`, the watched descriptor, in one system call: closing the only
  /// descriptor of a file removes it from epoll (epoll(7), "Will closing a file descriptor...").
  void stop_and_close(UniqueFd& fd);

  [[nodiscard]] bool is_watching() const { return fd_ >= 0; }

 private:
  EventLoop* loop_;
  int fd_ = -1;
  std::uint32_t slot_ = 0;
};

}  // namespace nsrelay
