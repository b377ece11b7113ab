#include "nsrelay/event/deferred_queue.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "support/loop_test.hpp"

namespace nsrelay {
namespace {

class DeferredQueueTest : public test::LoopTest {
 protected:
  /// Somebody who waits, and what they do when they are called.
  struct Waiter {
    void on_call() noexcept {
      ++calls;
      if (then)
        then();
    }
    [[nodiscard]] Delegate<void()> call() { return Delegate<void()>::to<&Waiter::on_call>(this); }

    int calls = 0;
    std::function<void()> then;
  };

  void iterate() { loop_->run_once(Duration(0)); }

  DeferredQueue queue_{*loop_};
  Waiter one_;
  Waiter other_;
};

TEST_F(DeferredQueueTest, CallsEachOnceAtTheEndOfTheIteration) {
  queue_.add(one_.call());
  queue_.add(other_.call());
  EXPECT_EQ(one_.calls, 0);
  iterate();
  EXPECT_EQ(one_.calls, 1);
  EXPECT_EQ(other_.calls, 1);
  iterate();
  EXPECT_EQ(one_.calls, 1);
}

TEST_F(DeferredQueueTest, WhatIsAddedFromACallWaitsForTheNextIteration) {
  one_.then = [this] {
    one_.then = nullptr;
    queue_.add(one_.call());
  };
  queue_.add(one_.call());
  iterate();
  EXPECT_EQ(one_.calls, 1);
  iterate();
  EXPECT_EQ(one_.calls, 2);
}

TEST_F(DeferredQueueTest, WhoIsRemovedIsNotCalled) {
  queue_.add(one_.call());
  queue_.add(other_.call());
  queue_.remove(one_.call());
  iterate();
  EXPECT_EQ(one_.calls, 0);
  EXPECT_EQ(other_.calls, 1);
}

TEST_F(DeferredQueueTest, WhoIsRemovedByOneBeforeItIsNotCalled) {
  one_.then = [this] { queue_.remove(other_.call()); };
  queue_.add(one_.call());
  queue_.add(other_.call());
  iterate();
  EXPECT_EQ(one_.calls, 1);
  EXPECT_EQ(other_.calls, 0);
}

TEST_F(DeferredQueueTest, TheLoopDoesNotSleepBeforeACall) {
  queue_.add(one_.call());
  loop_->run_once();  // for ever, if it slept
  EXPECT_EQ(one_.calls, 1);
}

}  // namespace
}  // namespace nsrelay
