#include "nsrelay/telemetry/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace nsrelay {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr std::size_t kAll = DurationHistogram::kBounds.size();

TEST(DurationHistogram, BeginsEmpty) {
  const DurationHistogram histogram;
  EXPECT_EQ(histogram.count_up_to(kAll), 0U);
  EXPECT_EQ(histogram.sum(), nanoseconds(0));
}

TEST(DurationHistogram, CountsADurationInItsBucketAndAllAbove) {
  DurationHistogram histogram;
  histogram.add(microseconds(300));
  EXPECT_EQ(histogram.count_up_to(0), 0U);
  EXPECT_EQ(histogram.count_up_to(1), 0U);
  for (std::size_t bucket = 2; bucket <= kAll; ++bucket)
    EXPECT_EQ(histogram.count_up_to(bucket), 1U) << bucket;
}

TEST(DurationHistogram, ABoundBelongsToItsBucket) {
  DurationHistogram histogram;
  histogram.add(DurationHistogram::kBounds[3]);
  histogram.add(DurationHistogram::kBounds[3] + nanoseconds(1));
  EXPECT_EQ(histogram.count_up_to(2), 0U);
  EXPECT_EQ(histogram.count_up_to(3), 1U);
  EXPECT_EQ(histogram.count_up_to(4), 2U);
}

TEST(DurationHistogram, WhatIsLongerThanEveryBoundCountsInTheLast) {
  DurationHistogram histogram;
  histogram.add(std::chrono::hours(1));
  EXPECT_EQ(histogram.count_up_to(kAll - 1), 0U);
  EXPECT_EQ(histogram.count_up_to(kAll), 1U);
}

TEST(DurationHistogram, SumsExactly) {
  DurationHistogram histogram;
  histogram.add(nanoseconds(1));
  histogram.add(seconds(2));
  histogram.add(milliseconds(3));
  EXPECT_EQ(histogram.sum(), nanoseconds(2'003'000'001));
}

TEST(DurationHistogram, BoundsAscend) {
  EXPECT_TRUE(std::is_sorted(DurationHistogram::kBounds.begin(), DurationHistogram::kBounds.end()));
}

}  // namespace
}  // namespace nsrelay
