#include "nsrelay/event/timer_queue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <random>

namespace nsrelay {
namespace {

using std::chrono::milliseconds;

TimePoint at(int ms) {
  return TimePoint(milliseconds(ms));
}

/// A timer whose callback is a lambda.
struct Alarm {
  Alarm(TimerQueue& queue, std::function<void()> action)
      : run(std::move(action)), timer(queue, Delegate<void()>::to<&Alarm::ring>(this)) {}
  void ring() noexcept { run(); }

  std::function<void()> run;
  Timer timer;
};

class TimerQueueTest : public testing::Test {
 protected:
  std::unique_ptr<Alarm> alarm(int id) {
    return std::make_unique<Alarm>(queue_, [this, id] { rung_.push_back(id); });
  }

  TimerQueue queue_;
  std::vector<int> rung_;
};

TEST_F(TimerQueueTest, RunsWhatIsDueInTheOrderOfDeadlines) {
  auto a = alarm(1);
  auto b = alarm(2);
  auto c = alarm(3);
  a->timer.start(at(30));
  b->timer.start(at(10));
  c->timer.start(at(20));
  queue_.run_due(at(20));
  EXPECT_THAT(rung_, testing::ElementsAre(2, 3));
  EXPECT_EQ(queue_.next_deadline(), at(30));
  EXPECT_FALSE(b->timer.is_running());
}

TEST_F(TimerQueueTest, ATimerInThePastRunsAtOnce) {
  auto a = alarm(1);
  a->timer.start(at(-1000));
  queue_.run_due(at(0));
  EXPECT_THAT(rung_, testing::ElementsAre(1));
}

TEST_F(TimerQueueTest, ATimerThatRestartsItselfInThePastDoesNotHoldUpTheQueue) {
  Alarm again(queue_, [&] {
    rung_.push_back(1);
    again.timer.start(at(0));
  });
  again.timer.start(at(0));
  queue_.run_due(at(10));
  queue_.run_due(at(11));
  EXPECT_THAT(rung_, testing::ElementsAre(1, 1));
}

TEST_F(TimerQueueTest, ATimerMayStopOneThatIsDueToo) {
  auto victim = alarm(2);
  Alarm killer(queue_, [&] {
    rung_.push_back(1);
    victim->timer.stop();
  });
  killer.timer.start(at(1));
  victim->timer.start(at(2));
  queue_.run_due(at(5));
  EXPECT_THAT(rung_, testing::ElementsAre(1));
}

TEST_F(TimerQueueTest, ATimerMayDestroyItselfAndOthers) {
  auto victim = alarm(2);
  std::unique_ptr<Alarm> self;
  self = std::make_unique<Alarm>(queue_, [&] {
    victim.reset();
    self.reset();
  });
  self->timer.start(at(1));
  victim->timer.start(at(1));
  queue_.run_due(at(5));
  EXPECT_EQ(queue_.size(), 0U);
  EXPECT_TRUE(rung_.empty());
}

TEST_F(TimerQueueTest, ARunningTimerLeavesWhenDestroyed) {
  alarm(1)->timer.start(at(1));
  EXPECT_EQ(queue_.size(), 0U);
}

TEST_F(TimerQueueTest, StartMovesARunningTimer) {
  auto a = alarm(1);
  a->timer.start(at(10));
  a->timer.start(at(50));
  queue_.run_due(at(20));
  EXPECT_TRUE(rung_.empty());
  queue_.run_due(at(50));
  EXPECT_THAT(rung_, testing::ElementsAre(1));
}

TEST_F(TimerQueueTest, StaysOrderedUnderRandomStartsMovesAndStops) {
  std::mt19937 random(7);
  std::vector<int> deadlines(500, -1);
  std::vector<std::unique_ptr<Alarm>> alarms;
  for (int id = 0; id < 500; ++id)
    alarms.push_back(alarm(id));
  for (int step = 0; step < 5000; ++step) {
    const auto id = random() % alarms.size();
    if (random() % 4 == 0) {
      alarms[id]->timer.stop();
      deadlines[id] = -1;
    } else {
      deadlines[id] = static_cast<int>(random() % 1000);
      alarms[id]->timer.start(at(deadlines[id]));
    }
  }
  const auto running =
      std::count_if(deadlines.begin(), deadlines.end(), [](int d) { return d >= 0; });
  queue_.run_due(at(1000));
  EXPECT_EQ(rung_.size(), static_cast<std::size_t>(running));
  EXPECT_TRUE(std::is_sorted(rung_.begin(), rung_.end(), [&](int left, int right) {
    return deadlines[static_cast<std::size_t>(left)] < deadlines[static_cast<std::size_t>(right)];
  }));
}

}  // namespace
}  // namespace nsrelay
