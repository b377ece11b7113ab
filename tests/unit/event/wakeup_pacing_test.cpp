#include "nsrelay/event/wakeup_pacing.hpp"

#include <gtest/gtest.h>

namespace nsrelay {
namespace {

class WakeupPacingTest : public testing::Test {
 protected:
  /// An iteration with so many events of each kind.
  bool pauses(std::size_t flows, std::size_t blocked = 0, std::size_t others = 0) {
    for (std::size_t i = 0; i < flows; ++i)
      pacing_.note_bulk(WakeupPacing::Bulk::Flows);
    for (std::size_t i = 0; i < blocked; ++i)
      pacing_.note_bulk(WakeupPacing::Bulk::Blocked);
    return pacing_.pauses(flows + blocked + others, time_);
  }

  TimePoint time_{std::chrono::hours(1)};
  WakeupPacing pacing_;
};

TEST_F(WakeupPacingTest, PausesWhereAllEventsAreOfBulkThatFlows) {
  EXPECT_TRUE(pauses(1));
  EXPECT_TRUE(pauses(16));
}

TEST_F(WakeupPacingTest, DoesNotPauseWithoutBulk) {
  EXPECT_FALSE(pauses(0));
  EXPECT_FALSE(pauses(0, 0, 1));
}

TEST_F(WakeupPacingTest, DoesNotPauseForAWhileAfterAnEventOfAnotherKind) {
  EXPECT_FALSE(pauses(3, 0, 1));
  time_ += WakeupPacing::kQuiet - Duration(1);
  EXPECT_FALSE(pauses(1));
  time_ += Duration(1);
  EXPECT_TRUE(pauses(1));
}

TEST_F(WakeupPacingTest, DoesNotKeepAFullReceiverWaiting) {
  EXPECT_FALSE(pauses(3, 1));
  EXPECT_FALSE(pauses(0, 1));
  EXPECT_TRUE(pauses(3));  // which is no reason to leave off for a while
}

TEST_F(WakeupPacingTest, AnIterationSaysNothingOfTheNext) {
  EXPECT_TRUE(pauses(1));
  EXPECT_FALSE(pauses(0));
}

}  // namespace
}  // namespace nsrelay
