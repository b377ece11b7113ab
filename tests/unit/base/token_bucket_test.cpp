#include "nsrelay/base/token_bucket.hpp"

#include <gtest/gtest.h>

namespace nsrelay {
namespace {

using namespace std::chrono_literals;

constexpr TokenBucket::TimePoint kStart{1h};

int take_all(TokenBucket& bucket, TokenBucket::TimePoint now) {
  int taken = 0;
  while (bucket.take(now))
    ++taken;
  return taken;
}

TEST(TokenBucket, GivesASecondsWorthAtOnceAndThenAtItsRate) {
  TokenBucket bucket(20, kStart);
  EXPECT_EQ(take_all(bucket, kStart), 20);
  EXPECT_EQ(take_all(bucket, kStart + 49ms), 0);
  EXPECT_EQ(take_all(bucket, kStart + 51ms), 1);
  EXPECT_EQ(take_all(bucket, kStart + 551ms), 10);
}

TEST(TokenBucket, NeverHoldsMoreThanASecondsWorth) {
  TokenBucket bucket(3, kStart);
  EXPECT_EQ(take_all(bucket, kStart + 24h), 3);
}

TEST(TokenBucket, IsFullAgainAfterItsRest) {
  TokenBucket bucket(2, kStart);
  EXPECT_TRUE(bucket.is_full(kStart));
  bucket.take(kStart);
  EXPECT_FALSE(bucket.is_full(kStart + 400ms));
  EXPECT_TRUE(bucket.is_full(kStart + 600ms));
}

TEST(TokenBucket, TheLargestRateWorks) {
  TokenBucket bucket(2'147'483'647, kStart);
  for (int i = 0; i < 1000; ++i)
    EXPECT_TRUE(bucket.take(kStart));
}

}  // namespace
}  // namespace nsrelay
