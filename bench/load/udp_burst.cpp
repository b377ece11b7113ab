#include <netinet/udp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "service.hpp"
#include "socket.hpp"
#include "workload.hpp"

namespace nsrelay::bench {
namespace {

constexpr int kSegment = 1400;
constexpr std::size_t kBurst = std::size_t{kSegment} * 44;  // what one message may have, by the MTU

/// Bursts that the kernel cuts into datagrams (UDP_SEGMENT, udp(7)), as fast as the socket takes
/// them. Units: bytes that the backend counted, which it is asked for at the end.
class UdpBurst : public Workload {
 public:
  explicit UdpBurst(const ClientOptions& options) : options_(options) {}

  void prepare() override {
    socket_ = connect_udp(options_.target);
    if (::setsockopt(socket_.get(), SOL_UDP, UDP_SEGMENT, &kSegment, sizeof kSegment) != 0)
      fail("UDP_SEGMENT");
    before_ = count();
  }

  Report run() override {
    Report report;
    std::array<std::byte, kBurst> burst;
    burst.fill(std::byte{service::kSink});
    const auto started = Clock::now();
    const auto end = after(started, options_.seconds);
    auto now = started;
    Poller poller;
    poller.add(socket_.get(), EPOLLOUT, nullptr);
    while (now < end) {
      if (::send(socket_.get(), burst.data(), burst.size(), MSG_DONTWAIT) < 0 && errno == EAGAIN)
        (void)poller.wait(end);
      now = Clock::now();
    }
    report.seconds = std::chrono::duration<double>(now - started).count();
    report.units = count() - before_;
    return report;
  }

 private:
  /// What has arrived on this flow so far. The answer comes behind all that is still on its way.
  std::uint64_t count() {
    const std::byte question{service::kCount};
    for (int i = 0; i < 50; ++i) {
      (void)::send(socket_.get(), &question, 1, 0);
      Poller poller;
      poller.add(socket_.get(), EPOLLIN, nullptr);
      std::uint64_t bytes = 0;
      if (!poller.wait(Clock::now() + std::chrono::milliseconds(100)).empty() &&
          ::recv(socket_.get(), &bytes, sizeof bytes, MSG_DONTWAIT) == sizeof bytes)
        return bytes;
    }
    errno = 0;
    fail("no answer over UDP");
  }

  ClientOptions options_;
  UniqueFd socket_;
  std::uint64_t before_ = 0;
};

}  // namespace

std::unique_ptr<Workload> make_udp_burst(const ClientOptions& options) {
  return std::make_unique<UdpBurst>(options);
}

}  // namespace nsrelay::bench
