#include "suggestion.hpp"

#include <gtest/gtest.h>

namespace nsrelay {
namespace {

TEST(EditDistance, CountsInsertionsRemovalsReplacementsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("listen", "lisen"), 1U);
  EXPECT_EQ(edit_distance("listen", "listten"), 1U);
  EXPECT_EQ(edit_distance("listen", "lusten"), 1U);
  EXPECT_EQ(edit_distance("upstream", "upstraem"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(Closest, FindsTheNearestWithinAThirdOfTheLetters) {
  const std::string_view keys[] = {"name", "netns", "listen", "idle_timeout", "log"};
  EXPECT_EQ(closest("nane", keys), "name");
  EXPECT_EQ(closest("netms", keys), "netns");
  EXPECT_EQ(closest("idel_timout", keys), "idle_timeout");
  EXPECT_EQ(closest("foo", keys), "");
  EXPECT_EQ(closest(std::string(100'000, 'x'), keys), "");
}

}  // namespace
}  // namespace nsrelay
