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
  EXPECT_EQ(context_.why_no_sctp(1), nullptr);
  context_.note_no_sctp(1, Error::from_errno("socket", EPROTONOSUPPORT));
  for (const std::uint64_t netns : {1, 2}) {
    ASSERT_NE(context_.why_no_sctp(netns), nullptr);
    EXPECT_EQ(context_.why_no_sctp(netns)->number(), EPROTONOSUPPORT);
  }
  pass(std::chrono::milliseconds(29'999));
  EXPECT_NE(context_.why_no_sctp(1), nullptr);
  pass(std::chrono::milliseconds(1));
  EXPECT_EQ(context_.why_no_sctp(1), nullptr);
}

TEST_F(RelayContextTest, ADigestIsMissingInItsNamespaceOnly) {
  context_.note_no_sctp(1, Error::from_errno("listen", ENOSYS));
  ASSERT_NE(context_.why_no_sctp(1), nullptr);
  EXPECT_EQ(context_.why_no_sctp(1)->number(), ENOSYS);
  EXPECT_EQ(context_.why_no_sctp(2), nullptr);
}

TEST_F(RelayContextTest, AsksForSctpAtOnceWhereSomebodyMayHaveHelped) {
  context_.note_no_sctp(1, Error::from_errno("socket", ESOCKTNOSUPPORT));
  context_.note_no_sctp(2, Error::from_errno("listen", ENOSYS));
  context_.forget_no_sctp();
  EXPECT_EQ(context_.why_no_sctp(1), nullptr);
  EXPECT_EQ(context_.why_no_sctp(2), nullptr);
}

}  // namespace
}  // namespace nsrelay
