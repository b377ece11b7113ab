#include "nsrelay/event/coalesced_call.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace nsrelay {
namespace {

using std::chrono::milliseconds;

class CoalescedCallTest : public testing::Test {
 protected:
  void on_call() noexcept {
    ++calls_;
    time_ += work_;
    if (again_-- > 0)
      call_->request();
  }

  /// The iteration with the call, and the one that follows at once and sees how long it took.
  void iterate_with_call() {
    iterate();
    iterate();
  }

  /// One iteration, `time` later.
  void iterate(milliseconds time = milliseconds(0)) {
    time_ += time;
    loop_->run_once(Duration(0));
  }

  TimePoint time_{std::chrono::hours(1)};
  std::unique_ptr<EventLoop> loop_ = std::move(*EventLoop::create([this] { return time_; }));
  int calls_ = 0;
  int again_ = 0;
  milliseconds work_{0};  // how long a call takes
  std::unique_ptr<CoalescedCall> call_ = std::make_unique<CoalescedCall>(
      *loop_, milliseconds(5), Delegate<void()>::to<&CoalescedCallTest::on_call>(this));
};

TEST_F(CoalescedCallTest, NeverCallsUnasked) {
  iterate(milliseconds(100));
  EXPECT_EQ(calls_, 0);
}

TEST_F(CoalescedCallTest, TheFirstRequestIsGrantedAtTheEndOfTheIteration) {
  call_->request();
  EXPECT_EQ(calls_, 0);
  iterate();
  EXPECT_EQ(calls_, 1);
  iterate(milliseconds(100));
  EXPECT_EQ(calls_, 1);
}

TEST_F(CoalescedCallTest, RequestsOfOneIterationShareACall) {
  for (int i = 0; i < 10; ++i)
    call_->request();
  iterate_with_call();
  EXPECT_EQ(calls_, 1);
}

TEST_F(CoalescedCallTest, RequestsWithinTheIntervalShareTheNextCall) {
  call_->request();
  iterate_with_call();
  for (int ms = 0; ms < 4; ++ms) {
    call_->request();
    iterate(milliseconds(1));
    EXPECT_EQ(calls_, 1) << ms;
  }
  iterate(milliseconds(1));
  EXPECT_EQ(calls_, 2);
  iterate(milliseconds(100));
  EXPECT_EQ(calls_, 2);
}

TEST_F(CoalescedCallTest, ARequestAfterTheIntervalIsGrantedAtOnce) {
  call_->request();
  iterate_with_call();
  iterate(milliseconds(5));
  call_->request();
  iterate_with_call();
  EXPECT_EQ(calls_, 2);
}

TEST_F(CoalescedCallTest, ARequestFromTheCallItselfWaitsForTheInterval) {
  again_ = 1;
  call_->request();
  iterate_with_call();
  iterate(milliseconds(4));
  EXPECT_EQ(calls_, 1);
  iterate(milliseconds(1));
  EXPECT_EQ(calls_, 2);
}

TEST_F(CoalescedCallTest, ALongCallIsFollowedByAPauseAsLong) {
  work_ = milliseconds(20);
  call_->request();
  iterate_with_call();
  call_->request();
  iterate(milliseconds(19));
  EXPECT_EQ(calls_, 1);
  iterate(milliseconds(1));
  EXPECT_EQ(calls_, 2);
}

TEST_F(CoalescedCallTest, APauseIsNoneForWhoComesLater) {
  work_ = milliseconds(20);
  call_->request();
  iterate_with_call();
  iterate(milliseconds(100));
  call_->request();
  iterate_with_call();
  EXPECT_EQ(calls_, 2);
}

TEST_F(CoalescedCallTest, CancelTakesBackARequest) {
  call_->request();
  call_->cancel();
  iterate();
  EXPECT_EQ(calls_, 0);
  call_->request();
  iterate_with_call();
  call_->request();
  call_->cancel();
  iterate(milliseconds(100));
  EXPECT_EQ(calls_, 1);
  call_->request();
  iterate_with_call();
  EXPECT_EQ(calls_, 2);
}

TEST_F(CoalescedCallTest, IsCancelledWhenDestroyed) {
  call_->request();
  call_.reset();
  iterate(milliseconds(100));
  EXPECT_EQ(calls_, 0);
}

}  // namespace
}  // namespace nsrelay
