#include "nsrelay/upstream/health_checker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nsrelay/netns/netns_scope.hpp"
#include "nsrelay/upstream/upstream_pool.hpp"
#include "support/loop_test.hpp"
#include "support/netns_entry.hpp"

namespace nsrelay {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr seconds kInterval{10};
constexpr seconds kTimeout{2};

class HealthCheckerTest : public test::LoopTest {
 protected:
  HealthCheckerTest() {
    rule_.upstream.health.interval = kInterval;
    rule_.upstream.health.timeout = kTimeout;
    rule_.upstream.connect_timeout = 4 * kInterval;
    entry_.netns = std::move(*Netns::current());
    home_netns();  // found while there are descriptors, as the daemon does
  }

  void add_target(const UniqueFd& listener) {
    const IpEndpoint endpoint = test::local_address(listener).endpoint();
    rule_.upstream.targets.push_back({.kind = TargetSpec::Kind::Address,
                                      .text = endpoint.to_string(),
                                      .addresses = {{endpoint.ip, ""}},
                                      .ports = {endpoint.port, endpoint.port}});
  }

  void start() {
    pool_ = std::make_unique<UpstreamPool>(
        *loop_, rule_, test::borrow(entry_), "blue",
        UpstreamPool::OnChange::to<&HealthCheckerTest::on_change>(this));
    pass(seconds(0));
  }
  void on_change(const TargetState& target) noexcept { changes_.push_back(target.health.is_up()); }

  [[nodiscard]] const TargetHealth& health(std::size_t target = 0) const {
    return pool_->targets()[target].health;
  }
  [[nodiscard]] bool is_probing(std::size_t target = 0) const {
    return pool_->targets()[target].active > 0;
  }
  /// Lets the probes that are under way end.
  [[nodiscard]] bool finish() {
    return run_until([&] { return !is_probing(); });
  }

  /// A listener that answers no more.
  UniqueFd make_deaf_listener() {
    UniqueFd deaf = test::make_listener(test::loopback(), 0);
    filler_ = test::connect_to(test::local_address(deaf));
    EXPECT_TRUE(test::wait_for(deaf, POLLIN));
    return deaf;
  }

  ForwardRule rule_;
  NetnsEntry entry_{.name = "blue", .source = "/run/netns/blue"};
  UniqueFd filler_;
  std::unique_ptr<UpstreamPool> pool_;
  std::vector<bool> changes_;
};

TEST_F(HealthCheckerTest, ConnectsEveryIntervalAndResets) {
  const UniqueFd target = test::make_listener();
  add_target(target);
  start();
  for (int i = 0; i < 3; ++i) {
    const UniqueFd probe = test::accept_from(target);
    ASSERT_TRUE(finish());
    EXPECT_TRUE(test::is_reset(probe));
    pass(kInterval - seconds(1));
    EXPECT_FALSE(test::is_ready(target, POLLIN)) << "before the interval is over";
    pass(seconds(1));
  }
  EXPECT_TRUE(health().is_up());
  EXPECT_THAT(changes_, IsEmpty());
}

TEST_F(HealthCheckerTest, SpreadsTheTargetsOverTheInterval) {
  const UniqueFd first = test::make_listener();
  const UniqueFd second = test::make_listener();
  add_target(first);
  add_target(second);
  start();
  ASSERT_TRUE(finish());
  EXPECT_TRUE(test::is_ready(first, POLLIN));
  EXPECT_FALSE(test::is_ready(second, POLLIN));
  pass(kInterval / 2);
  EXPECT_TRUE(test::is_ready(second, POLLIN));
}

TEST_F(HealthCheckerTest, PutsATargetOutThatRefusesAgainAndAgainAndSaysSoOnce) {
  const UniqueFd nobody = test::reserve_port();
  add_target(nobody);
  start();
  for (int i = 1; i <= 2 * TargetHealth::kFailures; ++i) {
    ASSERT_TRUE(finish());
    EXPECT_EQ(health().is_up(), i < TargetHealth::kFailures) << i;
    pass(kInterval);
  }
  EXPECT_THAT(changes_, ElementsAre(false));
  EXPECT_FALSE(health().is_usable(time_ + seconds(3600))) << "a probe brings it back, no client";
}

TEST_F(HealthCheckerTest, OneSuccessBringsATargetBack) {
  const UniqueFd target = test::reserve_port();
  add_target(target);
  start();
  for (int i = 0; i < TargetHealth::kFailures; ++i) {
    ASSERT_TRUE(finish());
    pass(kInterval);
  }
  ASSERT_TRUE(finish());
  ASSERT_EQ(::listen(target.get(), 1), 0);
  pass(kInterval);
  ASSERT_TRUE(finish());
  EXPECT_THAT(changes_, ElementsAre(false, true));
}

TEST_F(HealthCheckerTest, ASilentTargetHasFailedAfterItsOwnTimeout) {
  const UniqueFd deaf = make_deaf_listener();
  add_target(deaf);
  start();
  settle();
  pass(kTimeout - seconds(1));
  EXPECT_TRUE(is_probing());
  pass(seconds(1));
  ASSERT_TRUE(finish());
  EXPECT_EQ(health().failures_total(), 1U);
}

TEST_F(HealthCheckerTest, TheNextProbeWaitsForTheOneBefore) {
  rule_.upstream.health.timeout = 3 * kInterval;
  const UniqueFd deaf = make_deaf_listener();
  add_target(deaf);
  start();
  for (int i = 0; i < 2; ++i) {
    pass(kInterval);
    settle();
    EXPECT_EQ(pool_->targets()[0].active, 1U);
  }
  pass(kInterval);
  ASSERT_TRUE(finish());
  pass(kInterval - seconds(1));
  EXPECT_FALSE(is_probing()) << "the interval begins when a probe has ended";
  pass(seconds(1));
  EXPECT_TRUE(is_probing());
}

TEST_F(HealthCheckerTest, AnAbsentNamespaceIsNoFaultOfTheTarget) {
  const UniqueFd target = test::make_listener();
  add_target(target);
  entry_.netns.reset();
  start();
  for (int i = 0; i < 2 * TargetHealth::kFailures; ++i) {
    ASSERT_TRUE(finish());
    pass(kInterval);
  }
  EXPECT_TRUE(health().is_up());
  entry_.netns = std::move(*Netns::current());
  ASSERT_TRUE(finish());
  pass(kInterval);
  EXPECT_TRUE(run_until([&] { return test::is_ready(target, POLLIN); }));
}

TEST_F(HealthCheckerTest, AProbeDoesNotKeepANamespaceThatIsGone) {
  const UniqueFd deaf = make_deaf_listener();
  add_target(deaf);
  start();
  settle();
  ASSERT_TRUE(is_probing());
  pool_->leave_gone_netns();
  EXPECT_TRUE(is_probing()) << "the namespace is the same";
  entry_.netns.reset();
  pool_->leave_gone_netns();
  EXPECT_FALSE(is_probing());
  EXPECT_EQ(health().failures_total(), 0U) << "it says nothing about the target";
  entry_.netns = std::move(*Netns::current());
  pass(kInterval);
  EXPECT_TRUE(is_probing());
}

TEST_F(HealthCheckerTest, ProbesThatAreUnderWayEndWithThePool) {
  const UniqueFd deaf = make_deaf_listener();
  add_target(deaf);
  start();
  settle();
  ASSERT_TRUE(is_probing());
  pool_.reset();
  pass(kInterval);
  settle();
  EXPECT_THAT(changes_, IsEmpty());
}

}  // namespace
}  // namespace nsrelay
