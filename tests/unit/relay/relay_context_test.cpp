#include "nsrelay/relay/relay_context.hpp"

#include <gtest/gtest.h>

#include "relay_test.hpp"

namespace nsrelay {
namespace {

class RelayContextTest : public test::RelayTest {
 protected:
  void note_pause() { context_.accept_paused({.event = log_event::kAcceptPaused}); }
};

TEST_F(RelayContextTest, LogsTheFirstPauseOfABurst) {
  note_pause();
  for (int i = 0; i < 10; ++i) {
    pass(std::chrono::seconds(5));  // longer than a burst in all, but never a gap in it
    note_pause();
  }
  EXPECT_EQ(log_.count("accept_paused"), 1);
}

TEST_F(RelayContextTest, LogsAgainAfterFiveSecondsOfPeace) {
  note_pause();
  pass(std::chrono::milliseconds(5001));
  note_pause();
  EXPECT_EQ(log_.count("accept_paused"), 2);
}

TEST_F(RelayContextTest, AsksForSctpAgainAfterThirtySeconds) {
  EXPECT_EQ(context_.why_no_sctp(), nullptr);
  context_.note_no_sctp(Error::from_errno("socket", EPROTONOSUPPORT));
  ASSERT_NE(context_.why_no_sctp(), nullptr);
  EXPECT_EQ(context_.why_no_sctp()->number(), EPROTONOSUPPORT);
  pass(std::chrono::milliseconds(29'999));
  EXPECT_NE(context_.why_no_sctp(), nullptr);
  pass(std::chrono::milliseconds(1));
  EXPECT_EQ(context_.why_no_sctp(), nullptr);
}

}  // namespace
}  // namespace nsrelay
