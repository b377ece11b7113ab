#include "nsrelay/upstream/target_health.hpp"

#include <gtest/gtest.h>

namespace nsrelay {
namespace {

constexpr TimePoint kStart{std::chrono::hours(1)};

/// A target that has just gone out at kStart.
TargetHealth out(bool probed = false) {
  TargetHealth health(probed);
  for (int i = 0; i < TargetHealth::kFailures; ++i)
    health.failed(kStart);
  EXPECT_FALSE(health.is_up());
  return health;
}

TEST(TargetHealth, GoesOutAfterFailuresInARowAndSaysSoOnce) {
  TargetHealth health(false);
  EXPECT_FALSE(health.failed(kStart));
  EXPECT_FALSE(health.failed(kStart));
  EXPECT_TRUE(health.is_usable(kStart));
  EXPECT_TRUE(health.failed(kStart));
  EXPECT_FALSE(health.is_usable(kStart));
  EXPECT_FALSE(health.failed(kStart));
  EXPECT_EQ(health.failures_total(), 4U);
}

TEST(TargetHealth, ASuccessBetweenFailuresStartsTheCountAgain) {
  TargetHealth health(false);
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(health.failed(kStart));
    EXPECT_FALSE(health.failed(kStart));
    EXPECT_FALSE(health.succeeded());
  }
  EXPECT_TRUE(health.is_up());
}

TEST(TargetHealth, IsTriedByOneConnectionAtATime) {
  TargetHealth health = out();
  const TimePoint due = kStart + TargetHealth::kShortestPause;
  EXPECT_FALSE(health.is_usable(due - Duration(1)));
  ASSERT_TRUE(health.is_usable(due));
  EXPECT_TRUE(health.begin(due));
  EXPECT_FALSE(health.is_usable(due));
  EXPECT_FALSE(health.begin(due));
  health.trial_abandoned();
  EXPECT_TRUE(health.is_usable(due));
}

TEST(TargetHealth, StaysOutTwiceAsLongAfterEachFailedTrialUpToABound) {
  TargetHealth health = out();
  TimePoint now = kStart;
  for (const int pause : {1, 2, 4, 8, 16, 32, 60, 60}) {
    now += std::chrono::seconds(pause) - Duration(1);
    EXPECT_FALSE(health.is_usable(now)) << pause;
    now += Duration(1);
    EXPECT_TRUE(health.begin(now)) << pause;
    EXPECT_FALSE(health.failed(now));
  }
}

TEST(TargetHealth, ManyFailuresAtOnceCountAsOneWhileItIsOut) {
  TargetHealth health = out();
  for (int i = 0; i < 100; ++i)
    health.failed(kStart);
  EXPECT_TRUE(health.is_usable(kStart + TargetHealth::kShortestPause));
}

TEST(TargetHealth, ComesBackByASuccessAndStartsWithTheShortestPauseAgain) {
  TargetHealth health = out();
  TimePoint now = kStart + TargetHealth::kShortestPause;
  health.begin(now);
  health.failed(now);
  now += 2 * TargetHealth::kShortestPause;
  health.begin(now);
  EXPECT_TRUE(health.succeeded());
  EXPECT_TRUE(health.is_up());
  EXPECT_FALSE(health.succeeded());
  for (int i = 0; i < TargetHealth::kFailures; ++i)
    health.failed(now);
  EXPECT_FALSE(health.is_usable(now));
  EXPECT_TRUE(health.is_usable(now + TargetHealth::kShortestPause));
}

TEST(TargetHealth, ThatIsProbedIsNotTriedByConnections) {
  TargetHealth health = out(true);
  EXPECT_FALSE(health.is_usable(kStart + std::chrono::hours(1)));
  EXPECT_TRUE(health.succeeded());
  EXPECT_TRUE(health.is_usable(kStart));
}

}  // namespace
}  // namespace nsrelay
