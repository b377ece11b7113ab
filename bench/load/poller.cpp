#include "poller.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>

#include "socket.hpp"

namespace nsrelay::bench {

Poller::Poller() : epoll_(UniqueFd::adopt(::epoll_create1(EPOLL_CLOEXEC))) {
  if (!epoll_)
    fail("epoll_create1");
}

void Poller::add(int fd, std::uint32_t events, void* tag) {
  epoll_event event{.events = events, .data = {.ptr = tag}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    fail("epoll_ctl");
}

void Poller::change(int fd, std::uint32_t events, void* tag) {
  epoll_event event{.events = events, .data = {.ptr = tag}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0)
    fail("epoll_ctl");
}

void Poller::remove(int fd) {
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) != 0)
    fail("epoll_ctl");
}

std::span<const epoll_event> Poller::wait(Clock::time_point deadline) {
  int timeout = -1;
  if (deadline != Clock::time_point::max()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, INT_MAX));
  }
  const int count =
      ::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), timeout);
  if (count < 0 && errno != EINTR)
    fail("epoll_wait");
  return {events_.data(), static_cast<std::size_t>(std::max(count, 0))};
}

}  // namespace nsrelay::bench
