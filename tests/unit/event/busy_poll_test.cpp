#include "nsrelay/event/busy_poll.hpp"

#include <gtest/gtest.h>

#include "support/loop_test.hpp"

namespace nsrelay {
namespace {

class BusyPollTest : public testing::Test {
 protected:
  BusyPollTest() { poll_.set_enabled(true); }

  /// Whether it spins before a wait, with an answer expected.
  bool spins() {
    poll_.expect();
    return poll_.begins();
  }
  /// How many waits it lets pass before it spins again.
  unsigned skipped() {
    unsigned count = 0;
    while (!spins())
      ++count;
    return count;
  }

  BusyPoll poll_;
};

TEST_F(BusyPollTest, SpinsOnlyWhereAnAnswerIsExpected) {
  EXPECT_FALSE(poll_.begins());
  EXPECT_TRUE(spins());
  EXPECT_FALSE(poll_.begins());  // an expectation holds for one wait
}

TEST_F(BusyPollTest, NeverSpinsWhereItIsOff) {
  poll_.set_enabled(false);
  EXPECT_FALSE(spins());
}

TEST_F(BusyPollTest, DoesNotSpinWhereManyEventsCome) {
  poll_.note_events(BusyPoll::kFewEvents + 1);
  EXPECT_FALSE(spins());
  poll_.note_events(BusyPoll::kFewEvents);
  EXPECT_TRUE(spins());
}

TEST_F(BusyPollTest, LeavesOffLongerEachTimeThatItWasInVain) {
  for (const unsigned wanted : {1U, 3U, 7U, 15U}) {
    poll_.ended(false);
    EXPECT_EQ(skipped(), wanted);
  }
}

TEST_F(BusyPollTest, LeavesOffNoLongerThanItsBound) {
  for (int i = 0; i < 100; ++i)
    poll_.ended(false);
  EXPECT_EQ(skipped(), BusyPoll::kMostSkipped);
}

TEST_F(BusyPollTest, StartsAfreshOnceItHasFoundSomething) {
  for (int i = 0; i < 5; ++i)
    poll_.ended(false);
  poll_.ended(true);
  EXPECT_TRUE(spins());
  poll_.ended(false);
  EXPECT_EQ(skipped(), 1U);
}

using BusyPollLoopTest = test::LoopTest;

TEST_F(BusyPollLoopTest, TheLoopSaysWhetherItsSpinWasInVain) {
  BusyPoll& poll = loop_->busy_poll();
  poll.set_enabled(true);
  poll.expect();
  loop_->run_once(Duration(1));  // nothing comes
  poll.expect();
  EXPECT_FALSE(poll.begins());
}

TEST_F(BusyPollLoopTest, TheLoopDoesNotSpinWhereItMayNotWait) {
  BusyPoll& poll = loop_->busy_poll();
  poll.set_enabled(true);
  poll.expect();
  loop_->run_once(Duration(0));
  poll.expect();
  EXPECT_TRUE(poll.begins());
}

}  // namespace
}  // namespace nsrelay
