#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "datagrams.hpp"
#include "service.hpp"
#include "socket.hpp"
#include "workload.hpp"

namespace nsrelay::bench {
namespace {

// Datagrams that are under way at one time, whatever the number of flows.
constexpr std::size_t kUnderWay = 128;

// A flow from which nothing came for so long has lost what was under way.
constexpr auto kLost = std::chrono::milliseconds(200);

/// One socket, hence one session of a proxy, in its closed loop.
struct Flow {
  UniqueFd socket;
  std::size_t under_way = 0;
  Clock::time_point heard;
};

/// Each answer is followed by the next datagram. Units: answers. Errors: datagrams that were lost.
class UdpEcho : public Workload {
 public:
  UdpEcho(const ClientOptions& options, std::size_t size)
      : options_(options),
        request_(size, std::byte{service::kEcho}),
        window_(std::max<std::size_t>(
            1, kUnderWay / static_cast<std::size_t>(std::max(1, options.connections)))) {}

  void prepare() override {
    flows_.resize(static_cast<std::size_t>(options_.connections));
    for (Flow& flow : flows_) {
      flow.socket = connect_udp(options_.target);
      poller_.add(flow.socket.get(), EPOLLIN, &flow);
      open(flow);
    }
  }

  Report run() override {
    const auto started = Clock::now();
    const auto end = after(started, options_.seconds);
    auto now = started;
    auto looked = started;
    for (Flow& flow : flows_)
      send(flow, window_, now);
    while (now < end) {
      for (const epoll_event& event : poller_.wait(std::min(end, now + kLost)))
        receive(*static_cast<Flow*>(event.data.ptr));
      now = Clock::now();
      if (now - looked > kLost)
        revive(looked = now);
    }
    report_.seconds = std::chrono::duration<double>(now - started).count();
    return std::move(report_);
  }

 private:
  /// The first datagram makes the session.
  void open(Flow& flow) {
    for (int i = 0; i < 20; ++i) {
      (void)::send(flow.socket.get(), request_.data(), request_.size(), 0);
      if (!poller_.wait(Clock::now() + kLost).empty() && datagrams_.receive(flow.socket.get()) > 0)
        return;
    }
    errno = 0;
    fail("no answer over UDP");
  }

  void send(Flow& flow, std::size_t count, Clock::time_point now) {
    iovec part{request_.data(), request_.size()};
    std::array<mmsghdr, kUnderWay> messages{};
    for (std::size_t i = 0; i < count; ++i) {
      messages[i].msg_hdr.msg_iov = &part;
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int sent =
        ::sendmmsg(flow.socket.get(), messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
    flow.under_way += static_cast<std::size_t>(std::max(0, sent));
    flow.heard = now;
  }

  void receive(Flow& flow) {
    const std::size_t count = datagrams_.receive(flow.socket.get());
    report_.units += count;
    flow.under_way -= std::min(flow.under_way, count);
    send(flow, std::min(count, window_ - flow.under_way), Clock::now());
  }

  void revive(Clock::time_point now) {
    for (Flow& flow : flows_) {
      if (now - flow.heard <= kLost)
        continue;
      report_.errors += flow.under_way;
      flow.under_way = 0;
      send(flow, window_, now);
    }
  }

  ClientOptions options_;
  std::vector<std::byte> request_;
  const std::size_t window_;
  Poller poller_;
  Datagrams datagrams_;
  std::vector<Flow> flows_;
  Report report_;
};

}  // namespace

std::unique_ptr<Workload> make_udp_echo(const ClientOptions& options, std::size_t size) {
  return std::make_unique<UdpEcho>(options, size);
}

}  // namespace nsrelay::bench
