#include "nsrelay/relay/loop_guard.hpp"

#include <gtest/gtest.h>

#include "relay/relay_test.hpp"

namespace nsrelay {
namespace {

/// One connection of a chain: `number` tells its sockets apart from those of the others.
class Link final : public Forwarded {
 public:
  Link(ConnectionTable& table, RuleRuntime& runtime, std::shared_ptr<const ListenerInfo> listener,
       std::uint16_t peer_port, std::uint16_t upstream_port)
      : table_(table),
        runtime_(runtime),
        listener_(std::move(listener)),
        peer_port_(peer_port),
        upstream_port_(upstream_port) {}

  void end(Reason reason) override {
    EXPECT_EQ(reason, Reason::ForwardingLoop);
    table_.take(*this);
  }
  [[nodiscard]] const ListenerInfo& listener() const override { return *listener_; }
  [[nodiscard]] RuleRuntime& runtime() const override { return runtime_; }
  [[nodiscard]] std::uint64_t upstream_cookie() const override { return 7; }
  [[nodiscard]] ForwardedStatus status() const override { return {}; }
  [[nodiscard]] IpEndpoint peer() const override { return at(peer_port_); }
  [[nodiscard]] std::optional<IpEndpoint> upstream_local() const override {
    return at(upstream_port_);
  }

  static IpEndpoint at(std::uint16_t port) { return {*IpAddress::parse("127.0.0.1"), port}; }

 private:
  ConnectionTable& table_;
  RuleRuntime& runtime_;
  std::shared_ptr<const ListenerInfo> listener_;
  std::uint16_t peer_port_;
  std::uint16_t upstream_port_;
};

class LoopGuardTest : public test::RelayTest {
 protected:
  /// Connections each of which is the client of the next, from port 1 to port `count` + 1.
  void add_chain(int count, const std::shared_ptr<const ListenerInfo>& listener) {
    for (int i = 1; i <= count; ++i)
      add(listener, static_cast<std::uint16_t>(i), static_cast<std::uint16_t>(i + 1));
  }
  void add(const std::shared_ptr<const ListenerInfo>& listener, std::uint16_t peer_port,
           std::uint16_t upstream_port) {
    table_.add(std::make_unique<Link>(table_, runtime(), listener, peer_port, upstream_port));
  }

  ConnectionTable table_;
  LoopGuard guard_{table_};
  std::shared_ptr<const ListenerInfo> here_ = listener_info();
  std::shared_ptr<const ListenerInfo> elsewhere_ =
      std::make_shared<const ListenerInfo>(ListenerInfo{"blue", 7, "0.0.0.0:8001", 0});
};

TEST_F(LoopGuardTest, EndsAllOfACircleAndNamesTheRuleThatItCameFrom) {
  add_chain(LoopGuard::kMostReturns, here_);
  add(here_, 5000, 6000);
  EXPECT_EQ(guard_.break_loop(*here_, Link::at(LoopGuard::kMostReturns + 1)), "web");
  EXPECT_EQ(table_.size(), 1U) << "who has no part in it stays";
}

TEST_F(LoopGuardTest, LeavesAShorterChainAlone) {
  add_chain(LoopGuard::kMostReturns - 1, here_);
  EXPECT_FALSE(guard_.break_loop(*here_, Link::at(LoopGuard::kMostReturns)));
  EXPECT_EQ(table_.size(), static_cast<std::size_t>(LoopGuard::kMostReturns - 1));
}

TEST_F(LoopGuardTest, AWayThroughOtherListenersIsNoCircle) {
  add_chain(3 * LoopGuard::kMostReturns, elsewhere_);
  EXPECT_FALSE(guard_.break_loop(*here_, Link::at(3 * LoopGuard::kMostReturns + 1)));
}

TEST_F(LoopGuardTest, TheSameAddressInAnotherNamespaceIsSomebodyElse) {
  add_chain(LoopGuard::kMostReturns, here_);
  const ListenerInfo other{"green", 8, here_->address, 0};
  EXPECT_FALSE(guard_.break_loop(other, Link::at(LoopGuard::kMostReturns + 1)));
}

TEST_F(LoopGuardTest, AChainThatBitesItsTailEnds) {
  add(here_, 2, 1);
  add(here_, 1, 2);
  EXPECT_FALSE(guard_.break_loop(*here_, Link::at(1)));
}

TEST_F(LoopGuardTest, LooksWhenConnectionsHaveDoubled) {
  for (std::size_t i = 0; i + 1 < LoopGuard::kFirstLook; ++i)
    add(here_, 1, 2);
  EXPECT_FALSE(guard_.is_due());
  add(here_, 1, 2);
  EXPECT_TRUE(guard_.is_due());
  EXPECT_FALSE(guard_.break_loop(*here_, Link::at(9)));
  EXPECT_FALSE(guard_.is_due());
  for (std::size_t i = 0; i < LoopGuard::kFirstLook; ++i)
    add(here_, 1, 2);
  EXPECT_TRUE(guard_.is_due());
}

}  // namespace
}  // namespace nsrelay
