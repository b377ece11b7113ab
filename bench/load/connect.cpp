#include <array>
#include <cerrno>

#include "service.hpp"
#include "socket.hpp"
#include "workload.hpp"

namespace nsrelay::bench {
namespace {

constexpr std::size_t kMessageBytes = 64;

/// A place for one connection at a time.
struct Slot {
  UniqueFd socket;
  bool asked = false;
  std::size_t missing = 0;
  Clock::time_point began;
};

class Connect : public Workload {
 public:
  explicit Connect(const ClientOptions& options)
      : options_(options), slots_(static_cast<std::size_t>(options.connections)) {
    message_.front() = static_cast<std::byte>(service::kEcho);
  }

  void prepare() override {}

  Report run() override {
    const auto started = Clock::now();
    const auto end = after(started, options_.seconds);
    for (Slot& slot : slots_)
      begin(slot);
    auto now = started;
    while (now < end) {
      for (const epoll_event& event : poller_.wait(end))
        step(*static_cast<Slot*>(event.data.ptr));
      now = Clock::now();
    }
    report_.seconds = std::chrono::duration<double>(now - started).count();
    return std::move(report_);
  }

 private:
  void begin(Slot& slot) {
    slot.asked = false;
    slot.missing = kMessageBytes;
    slot.began = Clock::now();
    slot.socket = begin_connect(options_.target);
    if (!slot.socket)
      fail("connect");
    poller_.add(slot.socket.get(), EPOLLOUT, &slot);
  }

  void step(Slot& slot) {
    if (!slot.asked)
      return ask(slot);
    std::array<std::byte, kMessageBytes> buffer;
    std::size_t taken = 0;
    const Received received =
        receive(slot.socket.get(), std::span(buffer).first(slot.missing), taken);
    if (received == Received::End)
      return lose(slot);
    slot.missing -= taken;
    if (slot.missing == 0)
      complete(slot);
  }

  void ask(Slot& slot) {
    if (connect_error(slot.socket.get()) != 0 || !send_all(slot.socket.get(), message_))
      return lose(slot);
    slot.asked = true;
    poller_.change(slot.socket.get(), EPOLLIN, &slot);
  }

  void complete(Slot& slot) {
    ++report_.units;
    report_.latencies.push_back(static_cast<std::uint32_t>((Clock::now() - slot.began).count()));
    begin(slot);
  }

  void lose(Slot& slot) {
    ++report_.errors;
    begin(slot);
  }

  ClientOptions options_;
  Poller poller_;
  std::vector<Slot> slots_;
  std::array<std::byte, kMessageBytes> message_{};
  Report report_;
};

}  // namespace

std::unique_ptr<Workload> make_connect(const ClientOptions& options) {
  return std::make_unique<Connect>(options);
}

}  // namespace nsrelay::bench
