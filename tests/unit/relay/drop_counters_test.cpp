#include "nsrelay/relay/drop_counters.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace nsrelay {
namespace {

using std::chrono::seconds;

TEST(DropCounters, CountByReason) {
  DropCounters drops;
  (void)drops.add(DropReason::Denied, 3, TimePoint());
  (void)drops.add(DropReason::Denied, 4, TimePoint());
  (void)drops.add(DropReason::TooLong, 1, TimePoint());
  EXPECT_EQ(drops.total(DropReason::Denied), 7U);
  EXPECT_EQ(drops.total(DropReason::TooLong), 1U);
  EXPECT_EQ(drops.total(DropReason::MaxSessions), 0U);
}

TEST(DropCounters, BurstLastsUntilFiveQuietSeconds) {
  DropCounters drops;
  TimePoint now;
  EXPECT_TRUE(drops.add(DropReason::Denied, 1, now));
  for (int i = 0; i < 10; ++i)
    EXPECT_FALSE(drops.add(DropReason::Denied, 1, now += seconds(4)));
  EXPECT_TRUE(drops.add(DropReason::Denied, 1, now += seconds(6)));
}

TEST(DropCounters, EachReasonHasBurstsOfItsOwn) {
  DropCounters drops;
  EXPECT_TRUE(drops.add(DropReason::Denied, 1, TimePoint()));
  EXPECT_TRUE(drops.add(DropReason::MaxSessions, 1, TimePoint()));
}

TEST(DropReason, EachHasAWordOfItsOwn) {
  std::set<std::string_view> words;
  for (std::size_t i = 0; i < kDropReasons; ++i)
    words.insert(to_string(static_cast<DropReason>(i)));
  EXPECT_EQ(words.size(), kDropReasons);
  EXPECT_FALSE(words.contains(""));
  EXPECT_EQ(to_string(static_cast<DropReason>(kDropReasons)), "");
}

}  // namespace
}  // namespace nsrelay
