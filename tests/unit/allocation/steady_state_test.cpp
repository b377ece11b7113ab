// In the steady state nothing is allocated: not by an event, not by a byte, not by a timer.

#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <vector>

#include "counting_allocator.hpp"
#include "nsrelay/relay/udp_listener.hpp"
#include "relay/relay_test.hpp"

namespace nsrelay {
namespace {

constexpr int kWarmUp = 100;
constexpr int kRounds = 1000;

class SteadyStateTest : public test::RelayTest {
 protected:
  SteadyStateTest() { std::signal(SIGPIPE, SIG_IGN); }

  /// A forwarded connection between client_ and upstream_.
  void open_tcp() {
    const UniqueFd listener = test::make_listener();
    add_target(test::local_address(listener));
    test::SocketPair pair = test::make_tcp_pair();
    client_ = std::move(pair.near);
    serve(std::move(pair.far));
    upstream_ = test::accept_from(listener);
    settle();
  }

  /// A session between client_ and upstream_.
  void open_udp() {
    rule().protocol = Protocol::Udp;
    upstream_ = test::make_socket(AF_INET, SOCK_DGRAM);
    bind_to_loopback(upstream_);
    add_target(test::local_address(upstream_));
    UniqueFd bound = test::make_socket(AF_INET, SOCK_DGRAM);
    bind_to_loopback(bound);
    const SocketAddress address = test::local_address(bound);
    auto listener =
        UdpListener::create(context_, runtime(), pool(), listener_info(), std::move(bound));
    ASSERT_TRUE(listener);
    listener_ = *std::move(listener);
    client_ = test::make_socket(AF_INET, SOCK_DGRAM);
    ASSERT_EQ(::connect(client_.get(), address.data(), address.size()), 0);
    test::send_text(client_, "hello");
    SocketAddress session;
    char byte;
    ASSERT_TRUE(run_until([&] {
      return ::recvfrom(upstream_.get(), &byte, 1, 0, session.data(), session.size_to_fill()) > 0;
    }));
    ASSERT_EQ(::connect(upstream_.get(), session.data(), session.size()), 0);
  }

  static void bind_to_loopback(const UniqueFd& socket) {
    const SocketAddress address = test::loopback();
    ASSERT_EQ(::bind(socket.get(), address.data(), address.size()), 0);
  }

  /// `count` bytes go through the relay. Allocates nothing itself.
  void pass_bytes(const UniqueFd& from, const UniqueFd& to, std::size_t count) {
    const auto end = std::chrono::steady_clock::now() + test::kPatience;
    std::size_t sent = 0;
    std::size_t got = 0;
    while (got < count) {
      ASSERT_LT(std::chrono::steady_clock::now(), end);
      if (sent < count) {
        const ssize_t done = ::send(from.get(), buffer_.data(),
                                    std::min(buffer_.size(), count - sent), MSG_NOSIGNAL);
        sent += done > 0 ? static_cast<std::size_t>(done) : 0;
      }
      loop_->run_once(Duration(1));
      const ssize_t done = ::recv(to.get(), buffer_.data(), buffer_.size(), 0);
      got += done > 0 ? static_cast<std::size_t>(done) : 0;
    }
  }

  void ping_pong(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      pass_bytes(client_, upstream_, 64);
      pass_bytes(upstream_, client_, 64);
    }
  }

  UniqueFd client_;
  UniqueFd upstream_;
  std::unique_ptr<UdpListener> listener_;
  std::array<std::byte, 65536> buffer_{};
};

TEST_F(SteadyStateTest, TheCounterCounts) {
  const std::uint64_t before = test::allocations();
  const std::vector<int> some(100);
  EXPECT_EQ(test::allocations(), before + 1);
}

TEST_F(SteadyStateTest, RequestsAndAnswersOverTcp) {
  open_tcp();
  ping_pong(kWarmUp);
  const std::uint64_t before = test::allocations();
  ping_pong(kRounds);
  EXPECT_EQ(test::allocations(), before);
}

TEST_F(SteadyStateTest, BulkOverTcp) {
  constexpr std::size_t kBulk = std::size_t{16} * 1024 * 1024;
  open_tcp();
  pass_bytes(client_, upstream_, kBulk);
  const std::uint64_t before = test::allocations();
  pass_bytes(client_, upstream_, kBulk);
  EXPECT_EQ(test::allocations(), before);
}

TEST_F(SteadyStateTest, DatagramsOfASession) {
  open_udp();
  ping_pong(kWarmUp);
  const std::uint64_t before = test::allocations();
  ping_pong(kRounds);
  EXPECT_EQ(test::allocations(), before);
}

TEST_F(SteadyStateTest, TimersAndDeferredCalls) {
  int calls = 0;
  struct Counter {
    int& calls;
    void on_call() noexcept { ++calls; }
  } counter{calls};
  DeferredCall deferred(*loop_, Delegate<void()>::to<&Counter::on_call>(&counter));
  Timer timer(loop_->timers(), Delegate<void()>::to<&Counter::on_call>(&counter));
  const auto once = [&] {
    deferred.schedule();
    timer.start(loop_->now() + Duration(1));
    pass(Duration(1));
  };
  once();
  const std::uint64_t before = test::allocations();
  for (int i = 0; i < kRounds; ++i)
    once();
  EXPECT_EQ(test::allocations(), before);
  EXPECT_EQ(calls, 2 * (kRounds + 1));
}

}  // namespace
}  // namespace nsrelay
