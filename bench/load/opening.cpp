#include "opening.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

#include "poller.hpp"
#include "socket.hpp"

namespace nsrelay::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);

// More at once may overflow a backlog, and a lost SYN costs a second.
constexpr std::size_t kAtOnce = 128;

/// A connection whose first byte is on its way.
struct Opening {
  UniqueFd socket;
  bool asked = false;
};

/// Does the next step; true once the byte is back.
bool advance(Opening& opening, Poller& poller, char service, const std::string& so_far) {
  const int fd = opening.socket.get();
  if (!opening.asked) {
    const std::byte first{static_cast<unsigned char>(service)};
    errno = connect_error(fd);
    if (errno != 0 || !send_all(fd, {&first, 1}))
      fail("connect" + so_far);
    opening.asked = true;
    poller.change(fd, EPOLLIN, &opening);
    return false;
  }
  std::array<std::byte, 1> answer{};
  std::size_t taken = 0;
  const Received received = receive(fd, answer, taken);
  if (received == Received::End)
    fail("connection ended" + so_far);
  return received == Received::Bytes;
}

}  // namespace

std::vector<UniqueFd> open_all(const ClientOptions& options, char service) {
  const auto wanted = static_cast<std::size_t>(options.connections);
  std::vector<UniqueFd> open;
  while (open.size() < wanted) {
    const std::string so_far =
        ", " + std::to_string(open.size()) + " of " + std::to_string(wanted) + " are open";
    Poller poller;
    std::vector<Opening> batch(std::min(kAtOnce, wanted - open.size()));
    for (Opening& opening : batch) {
      opening.socket = begin_connect(options.target);
      if (!opening.socket)
        fail("connect" + so_far);
      poller.add(opening.socket.get(), EPOLLOUT, &opening);
    }
    std::size_t missing = batch.size();
    while (missing > 0) {
      const auto events = poller.wait(Clock::now() + kPatience);
      errno = ETIMEDOUT;
      if (events.empty())
        fail("connect" + so_far);
      for (const epoll_event& event : events) {
        auto& opening = *static_cast<Opening*>(event.data.ptr);
        if (advance(opening, poller, service, so_far)) {
          open.push_back(std::move(opening.socket));
          poller.remove(open.back().get());
          --missing;
        }
      }
    }
  }
  return open;
}

}  // namespace nsrelay::bench
