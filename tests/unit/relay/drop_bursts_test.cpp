#include "nsrelay/relay/drop_bursts.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace nsrelay {
namespace {

using std::chrono::seconds;

TEST(DropBursts, LastUntilFiveQuietSeconds) {
  DropBursts drops;
  TimePoint now;
  EXPECT_TRUE(drops.begins(DropReason::Denied, now));
  for (int i = 0; i < 10; ++i)
    EXPECT_FALSE(drops.begins(DropReason::Denied, now += seconds(4)));
  EXPECT_TRUE(drops.begins(DropReason::Denied, now += seconds(6)));
}

TEST(DropBursts, EachReasonHasItsOwn) {
  DropBursts drops;
  EXPECT_TRUE(drops.begins(DropReason::Denied, TimePoint()));
  EXPECT_TRUE(drops.begins(DropReason::MaxSessions, TimePoint()));
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
