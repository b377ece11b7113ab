#include "nsrelay/relay/loop_trace.hpp"

#include <gtest/gtest.h>

#include "relay/relay_test.hpp"

namespace nsrelay {
namespace {

IpEndpoint at(std::size_t port) {
  return {*IpAddress::parse("127.0.0.1"), static_cast<std::uint16_t>(port)};
}

/// What was started for a client: its upstream socket is bound to `port`, and leads back.
class Started final : public Forwarded {
 public:
  Started(RuleRuntime& runtime, const ListenerInfo& listener, std::size_t port)
      : runtime_(runtime), listener_(listener), port_(port) {}

  void end(Reason /*reason*/) override {}
  [[nodiscard]] const ListenerInfo& listener() const override { return listener_; }
  [[nodiscard]] RuleRuntime& runtime() const override { return runtime_; }
  [[nodiscard]] std::uint64_t upstream_cookie() const override { return listener_.cookie; }
  [[nodiscard]] ForwardedStatus status() const override { return {}; }
  [[nodiscard]] SocketEnds upstream_ends() const override { return {{at(port_)}, {at(8000)}}; }

 private:
  RuleRuntime& runtime_;
  const ListenerInfo& listener_;
  std::size_t port_;
};

class LoopTraceTest : public test::RelayTest {
 protected:
  static constexpr std::uint32_t kFollowedFrom = LoopTrace::kPeriod - 2 * LoopTrace::kWindow;

  void count(std::uint32_t clients) {
    while (clients-- > 0)
      trace_.count_client();
  }

  /// A client comes from `port`, and is connected to where it came to, from the next port. Returns
  /// the rule that it came from where it closes a circle.
  std::optional<std::string> serve(std::size_t port, const ListenerInfo& listener) {
    trace_.count_client();
    std::optional<std::string> from;
    if (trace_.may_know(Protocol::Tcp, at(port)))
      from = trace_.follow({listener, runtime(), at(port), {at(8000)}}, time_);
    trace_.note(Started(runtime(), listener, port + 1));
    return from;
  }

  LoopTrace trace_;
  std::shared_ptr<const ListenerInfo> here_ = listener_info();
  const ListenerInfo other_{"blue", 7, "0.0.0.0:8001", 0};
};

TEST_F(LoopTraceTest, FindsWhoComesBackAgainAndAgain) {
  count(kFollowedFrom);
  for (std::size_t turn = 1; turn < kMostReturns; ++turn)
    EXPECT_FALSE(serve(turn, *here_)) << turn;
  EXPECT_EQ(serve(kMostReturns, *here_), "web");
}

TEST_F(LoopTraceTest, CountsTheReturnsToOneListener) {
  count(kFollowedFrom);
  for (std::size_t turn = 1; turn < 2 * kMostReturns - 1; ++turn)
    EXPECT_FALSE(serve(turn, turn % 2 == 1 ? *here_ : other_)) << turn;
  EXPECT_TRUE(serve(2 * kMostReturns - 1, *here_));
}

TEST_F(LoopTraceTest, RemembersNothingBeforeItIsTime) {
  count(kFollowedFrom - kMostReturns - 1);
  for (std::size_t turn = 1; turn <= kMostReturns; ++turn)
    EXPECT_FALSE(serve(turn, *here_));
}

TEST_F(LoopTraceTest, ForgetsWhenTheTimeIsOver) {
  count(kFollowedFrom);
  EXPECT_FALSE(serve(1, *here_));
  EXPECT_TRUE(trace_.may_know(Protocol::Tcp, at(2)));
  EXPECT_FALSE(trace_.may_know(Protocol::Sctp, at(2)));
  count(LoopTrace::kWindow);
  EXPECT_FALSE(trace_.may_know(Protocol::Tcp, at(2)));
}

TEST_F(LoopTraceTest, OtherClientsAreNotFollowed) {
  count(kFollowedFrom);
  for (std::size_t turn = 1; turn <= 2 * kMostReturns; ++turn)
    EXPECT_FALSE(serve(10 * turn, *here_)) << turn;
}

TEST_F(LoopTraceTest, IsWaryAtTheEndOfEachPeriod) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(trace_.is_wary());
    count(LoopTrace::kPeriod - LoopTrace::kWindow);
    EXPECT_TRUE(trace_.is_wary());
    count(LoopTrace::kWindow);
  }
}

}  // namespace
}  // namespace nsrelay
