#include <array>

#include "opening.hpp"
#include "service.hpp"
#include "socket.hpp"
#include "workload.hpp"

namespace nsrelay::bench {
namespace {

constexpr std::size_t kRequestBytes = 64;

/// A connection in its closed loop.
struct Caller {
  UniqueFd socket;
  std::size_t missing = 0;  ///< Bytes of the answer that have not come.
  Clock::time_point asked;
};

class Ping : public Workload {
 public:
  explicit Ping(const ClientOptions& options) : options_(options) {}

  void prepare() override {
    for (UniqueFd& socket : open_all(options_, service::kEcho))
      callers_.push_back({.socket = std::move(socket), .missing = 0, .asked = {}});
  }

  Report run() override {
    const auto started = Clock::now();
    const auto end = after(started, options_.seconds);
    for (Caller& caller : callers_) {
      poller_.add(caller.socket.get(), EPOLLIN, &caller);
      ask(caller);
    }
    auto now = started;
    while (now < end) {
      for (const epoll_event& event : poller_.wait(end))
        answer(*static_cast<Caller*>(event.data.ptr));
      now = Clock::now();
    }
    report_.seconds = std::chrono::duration<double>(now - started).count();
    return std::move(report_);
  }

 private:
  void ask(Caller& caller) {
    static constexpr std::array<std::byte, kRequestBytes> kRequest{};
    caller.asked = Clock::now();
    caller.missing = kRequestBytes;
    if (!send_all(caller.socket.get(), kRequest))
      lose(caller);
  }

  void answer(Caller& caller) {
    std::array<std::byte, kRequestBytes> buffer;
    std::size_t taken = 0;
    const Received received =
        receive(caller.socket.get(), std::span(buffer).first(caller.missing), taken);
    if (received == Received::End)
      return lose(caller);
    caller.missing -= taken;
    if (caller.missing > 0)
      return;
    ++report_.units;
    report_.latencies.push_back(static_cast<std::uint32_t>((Clock::now() - caller.asked).count()));
    ask(caller);
  }

  void lose(Caller& caller) {
    ++report_.errors;
    caller.socket.close();
  }

  ClientOptions options_;
  Poller poller_;
  std::vector<Caller> callers_;
  Report report_;
};

}  // namespace

std::unique_ptr<Workload> make_ping(const ClientOptions& options) {
  return std::make_unique<Ping>(options);
}

}  // namespace nsrelay::bench
