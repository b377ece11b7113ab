#include "nsrelay/upstream/upstream_pool.hpp"

#include <gtest/gtest.h>

#include <set>

#include "support/netns_entry.hpp"

namespace nsrelay {
namespace {

class UpstreamPoolTest : public testing::Test {
 protected:
  UpstreamPool& make(std::string_view listener_netns = "blue") {
    pool_ = std::make_unique<UpstreamPool>(
        *loop_, rule_, test::borrow(entry_), listener_netns,
        UpstreamPool::OnChange::to<&UpstreamPoolTest::on_change>(this));
    return *pool_;
  }

  void on_change(const TargetState& target) noexcept { changes_.push_back(target.health.is_up()); }

  std::unique_ptr<EventLoop> loop_ = std::move(*EventLoop::create());
  ForwardRule rule_;
  NetnsEntry entry_;
  std::unique_ptr<UpstreamPool> pool_;
  std::vector<bool> changes_;
};

TEST_F(UpstreamPoolTest, GivesATargetToEachConnectionInTurn) {
  rule_.upstream.targets.resize(3);
  UpstreamPool& pool = make();
  for (const std::size_t expected : {0U, 1U, 2U, 0U}) {
    const auto lease = pool.take_target({}, IpAddress());
    ASSERT_TRUE(lease);
    EXPECT_EQ(&lease->target(), &pool.targets()[expected]);
  }
}

TEST_F(UpstreamPoolTest, GivesAConnectionEachTargetOnce) {
  rule_.upstream.targets.resize(2);
  UpstreamPool& pool = make();
  TriedTargets tried;
  std::set<const TargetState*> seen;
  while (const auto lease = pool.take_target(tried, IpAddress())) {
    EXPECT_TRUE(seen.insert(&lease->target()).second);
    pool.add_tried(tried, lease->target());
  }
  EXPECT_EQ(seen.size(), 2U);
}

TEST_F(UpstreamPoolTest, CountsTheConnectionsOfATarget) {
  rule_.upstream.targets.resize(1);
  UpstreamPool& pool = make();
  {
    auto first = pool.take_target({}, IpAddress());
    const TargetLease second = *pool.take_target({}, IpAddress());
    const TargetLease moved = *std::move(first);
    EXPECT_EQ(pool.targets()[0].active, 2U);
  }
  EXPECT_EQ(pool.targets()[0].active, 0U);
}

TEST_F(UpstreamPoolTest, TellsOnceThatATargetWentOutOrCameBack) {
  rule_.upstream.targets.resize(2);
  TargetLease lease = *make().take_target({}, IpAddress());
  for (int i = 0; i < 2 * TargetHealth::kFailures; ++i)
    lease.failed(loop_->now());
  lease.succeeded();
  lease.succeeded();
  EXPECT_EQ(changes_, (std::vector<bool>{false, true}));
}

TEST_F(UpstreamPoolTest, ReplacesThePlaceholderInHostsAndPaths) {
  rule_.upstream.targets = {
      {.kind = TargetSpec::Kind::HostName, .text = "{netns}.example:80", .host = "{netns}.example"},
      {.kind = TargetSpec::Kind::UnixPath, .text = "unix:/run/{netns}", .path = "/run/{netns}"}};
  UpstreamPool& pool = make("blue");
  EXPECT_EQ(pool.targets()[0].spec.host, "blue.example");
  EXPECT_EQ(pool.targets()[1].spec.path, "/run/blue");
}

TEST_F(UpstreamPoolTest, KnowsHowTheRuleConnects) {
  rule_.upstream.connect_timeout = Duration(123);
  rule_.upstream.bind_device = "eth7";
  rule_.upstream.source = {*IpNetwork::parse("192.0.2.1")};
  UpstreamPool& pool = make();
  EXPECT_EQ(pool.connect_timeout(), Duration(123));
  EXPECT_EQ(pool.bind_device(), "eth7");
  EXPECT_EQ(pool.sources().size(false), 1U);
  EXPECT_EQ(&pool.netns(), &entry_);
}

TEST(TcpOptionsOf, ARuleAreAllOfItsSocketOptions) {
  ForwardRule rule;
  rule.nodelay = false;
  rule.keepalive = Duration(1);
  rule.user_timeout = Duration(2);
  rule.congestion = "bbr";
  rule.receive_buffer = ByteSize{3};
  rule.send_buffer = ByteSize{4};
  const TcpOptions options = tcp_options_of(rule);
  EXPECT_FALSE(options.nodelay);
  EXPECT_EQ(options.keepalive, Duration(1));
  EXPECT_EQ(options.user_timeout, Duration(2));
  EXPECT_EQ(options.congestion, "bbr");
  EXPECT_EQ(options.receive_buffer, ByteSize{3});
  EXPECT_EQ(options.send_buffer, ByteSize{4});
}

}  // namespace
}  // namespace nsrelay
