#include "nsrelay/telemetry/pause_reason.hpp"

#include <gtest/gtest.h>

#include <set>

namespace nsrelay {
namespace {

TEST(PauseReason, EachHasAWordOfItsOwn) {
  std::set<std::string_view> words;
  for (std::size_t i = 0; i < kPauseReasons; ++i)
    words.insert(to_string(static_cast<PauseReason>(i)));
  EXPECT_EQ(words.size(), kPauseReasons);
  EXPECT_FALSE(words.contains(""));
  EXPECT_EQ(to_string(static_cast<PauseReason>(kPauseReasons)), "");
}

}  // namespace
}  // namespace nsrelay
