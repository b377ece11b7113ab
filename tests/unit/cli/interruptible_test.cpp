#include "interruptible.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include "nsrelay/base/unique_fd.hpp"

namespace nsrelay {
namespace {

class InterruptibleTest : public testing::Test {
 protected:
  InterruptibleTest() {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    reader_ = UniqueFd::adopt(ends[0]);
    writer_ = UniqueFd::adopt(ends[1]);
  }

  UniqueFd reader_;
  UniqueFd writer_;
};

TEST_F(InterruptibleTest, WaitsForAnEvent) {
  const Interruptible signals;
  ASSERT_EQ(::write(writer_.get(), "x", 1), 1);
  EXPECT_TRUE(signals.wait_for(reader_.get(), POLLIN, Duration(60'000)));
}

TEST_F(InterruptibleTest, GivesUpAfterTheLongestTime) {
  const Interruptible signals;
  const auto waited = signals.wait_for(reader_.get(), POLLIN, Duration(1));
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().number(), ETIMEDOUT);
}

TEST_F(InterruptibleTest, ASignalEndsTheWaitAlsoWhenItCameBefore) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const Interruptible signals;
    ::raise(signal);  // blocked until the wait
    const auto waited = signals.wait_for(reader_.get(), POLLIN, Duration(60'000));
    ASSERT_FALSE(waited);
    EXPECT_EQ(waited.error().number(), EINTR);
    EXPECT_FALSE(signals.wait_for(reader_.get(), POLLIN, Duration(60'000)));  // for good
  }
}

TEST_F(InterruptibleTest, SignalsDoAfterwardsWhatTheyDidBefore) {
  { const Interruptible signals; }
  EXPECT_EXIT(::raise(SIGTERM), testing::KilledBySignal(SIGTERM), "");
}

TEST_F(InterruptibleTest, AChildThatRestoresIsEndedBySignals) {
  const Interruptible signals;
  EXPECT_EXIT(
      {
        signals.restore();
        ::raise(SIGINT);
      },
      testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace nsrelay
