#include "nsrelay/event/event_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <vector>

#include "nsrelay/event/io_watcher.hpp"
#include "nsrelay/event/signal_watcher.hpp"

namespace nsrelay {
namespace {

using std::chrono::milliseconds;

/// An eventfd with a watcher whose callback is a lambda.
struct Source {
  Source(EventLoop& loop, std::function<void(std::uint32_t)> action)
      : run(std::move(action)), fd(UniqueFd::adopt(::eventfd(0, EFD_NONBLOCK))), watcher(loop) {
    EXPECT_TRUE(watcher.start(fd.get(), EPOLLIN, IoCallback::to<&Source::on_event>(this)));
  }
  void on_event(std::uint32_t events) noexcept { run(events); }
  void raise() const { EXPECT_EQ(::eventfd_write(fd.get(), 1), 0); }
  void drain() const {
    eventfd_t value;
    ::eventfd_read(fd.get(), &value);
  }

  std::function<void(std::uint32_t)> run;
  UniqueFd fd;
  IoWatcher watcher;
};

struct Call {
  Call(EventLoop& loop, std::function<void()> action)
      : run(std::move(action)), deferred(loop, Delegate<void()>::to<&Call::invoke>(this)) {}
  void invoke() noexcept { run(); }

  std::function<void()> run;
  DeferredCall deferred;
};

class EventLoopTest : public testing::Test {
 protected:
  TimePoint time_{std::chrono::hours(1)};
  std::unique_ptr<EventLoop> loop_ = std::move(*EventLoop::create([this] { return time_; }));
  int calls_ = 0;
};

TEST_F(EventLoopTest, DeliversTheEventsOfADescriptor) {
  std::uint32_t seen = 0;
  Source source(*loop_, [&](std::uint32_t events) { seen = events; });
  source.raise();
  loop_->run_once();
  EXPECT_EQ(seen, static_cast<std::uint32_t>(EPOLLIN));
}

TEST_F(EventLoopTest, AWatcherMayStopItselfInItsCallback) {
  Source source(*loop_, [&](std::uint32_t) {
    ++calls_;
    source.watcher.stop();
  });
  source.raise();
  loop_->run_once();
  loop_->run_once(milliseconds(0));
  EXPECT_EQ(calls_, 1);
}

TEST_F(EventLoopTest, AnEventOfAWatcherStoppedInTheSameBatchIsDroppedAndCounted) {
  std::unique_ptr<Source> first;
  std::unique_ptr<Source> second;
  const auto stop_the_other = [&](std::unique_ptr<Source>& other) {
    ++calls_;
    other.reset();
  };
  first = std::make_unique<Source>(*loop_, [&](std::uint32_t) { stop_the_other(second); });
  second = std::make_unique<Source>(*loop_, [&](std::uint32_t) { stop_the_other(first); });
  first->raise();
  second->raise();
  loop_->run_once();
  EXPECT_EQ(calls_, 1);
  EXPECT_EQ(loop_->stale_events(), 1U);
}

TEST_F(EventLoopTest, AStaleEventIsNotDeliveredToTheSuccessorInTheSameSlot) {
  std::unique_ptr<Source> first;
  std::unique_ptr<Source> second;
  std::unique_ptr<Source> successor;
  const auto replace_the_other = [&](std::unique_ptr<Source>& other) {
    other.reset();
    successor = std::make_unique<Source>(*loop_, [&](std::uint32_t) { ++calls_; });
  };
  first = std::make_unique<Source>(*loop_, [&](std::uint32_t) { replace_the_other(second); });
  second = std::make_unique<Source>(*loop_, [&](std::uint32_t) { replace_the_other(first); });
  first->raise();
  second->raise();
  loop_->run_once();
  EXPECT_EQ(calls_, 0);
  EXPECT_EQ(loop_->stale_events(), 1U);
}

TEST_F(EventLoopTest, RedirectHandsADescriptorOverWithoutRegisteringAgain) {
  Source from(*loop_, [&](std::uint32_t) { FAIL(); });
  Source to(*loop_, [&](std::uint32_t) { ++calls_; });
  from.watcher.redirect(IoCallback::to<&Source::on_event>(&to));
  from.raise();
  loop_->run_once();
  EXPECT_EQ(calls_, 1);
}

TEST_F(EventLoopTest, AMovedWatcherKeepsWatching) {
  Source source(*loop_, [&](std::uint32_t) { ++calls_; });
  IoWatcher moved = std::move(source.watcher);
  source.raise();
  loop_->run_once();
  EXPECT_EQ(calls_, 1);
  EXPECT_FALSE(source.watcher.is_watching());
}

TEST_F(EventLoopTest, StopAndCloseLeavesNothingBehind) {
  Source source(*loop_, [&](std::uint32_t) { ++calls_; });
  source.raise();
  source.watcher.stop_and_close(source.fd);
  loop_->run_once(milliseconds(0));
  EXPECT_EQ(calls_, 0);
  EXPECT_FALSE(source.fd.is_open());
}

TEST_F(EventLoopTest, AnUnpollableDescriptorIsAnError) {
  IoWatcher watcher(*loop_);
  UniqueFd file = UniqueFd::adopt(::memfd_create("file", 0));
  const auto started = watcher.start(file.get(), EPOLLIN, {});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().number(), EPERM);
  EXPECT_FALSE(watcher.is_watching());
}

TEST_F(EventLoopTest, RunsATimerWhenItsTimeHasCome) {
  Call unused(*loop_, [] {});
  struct Ring {
    void ring() noexcept { rung = true; }
    bool rung = false;
  } ring;
  Timer timer(loop_->timers(), Delegate<void()>::to<&Ring::ring>(&ring));
  timer.start(time_ + milliseconds(5));
  loop_->run_once(milliseconds(0));
  EXPECT_FALSE(ring.rung);
  time_ += milliseconds(5);
  loop_->run_once();
  EXPECT_TRUE(ring.rung);
}

TEST_F(EventLoopTest, NowStaysTheSameDuringAnIteration) {
  TimePoint first;
  TimePoint second;
  Call call(*loop_, [&] { second = loop_->now(); });
  Source source(*loop_, [&](std::uint32_t) {
    first = loop_->now();
    time_ += milliseconds(100);
    call.deferred.schedule();
  });
  source.raise();
  loop_->run_once();
  EXPECT_EQ(first, second);
}

TEST_F(EventLoopTest, TellsHowLongAnIterationHasLasted) {
  std::vector<TimePoint::duration> spent;
  Source source(*loop_, [&](std::uint32_t) {
    spent.push_back(loop_->spent());
    time_ += milliseconds(7);
    spent.push_back(loop_->spent());
  });
  source.raise();
  loop_->run_once();
  EXPECT_EQ(spent, (std::vector<TimePoint::duration>{milliseconds(0), milliseconds(7)}));
}

TEST_F(EventLoopTest, ACallDeferredFromADeferredCallWaitsForTheNextIteration) {
  Call again(*loop_, [&] {
    ++calls_;
    again.deferred.schedule();
  });
  again.deferred.schedule();
  loop_->run_once();
  EXPECT_EQ(calls_, 1);
  loop_->run_once();  // does not sleep: something is scheduled
  EXPECT_EQ(calls_, 2);
}

TEST_F(EventLoopTest, ADeferredCallMayCancelAndDestroyAnotherOfItsBatch) {
  std::unique_ptr<Call> first;
  std::unique_ptr<Call> second;
  first = std::make_unique<Call>(*loop_, [&] {
    ++calls_;
    second.reset();
  });
  second = std::make_unique<Call>(*loop_, [&] {
    ++calls_;
    first.reset();
  });
  first->deferred.schedule();
  second->deferred.schedule();
  loop_->run_once();
  EXPECT_EQ(calls_, 1);
}

TEST_F(EventLoopTest, DestroysAfterTheCallbacksAlsoWhatADestructorDooms) {
  struct Doomed {
    Doomed(EventLoop& l, int& count) : loop(l), destroyed(count) {}
    ~Doomed() {
      ++destroyed;
      if (inner)
        loop.destroy_later(std::move(inner));
    }
    EventLoop& loop;
    int& destroyed;
    std::unique_ptr<Doomed> inner;
  };
  int destroyed = 0;
  auto object = std::make_unique<Doomed>(*loop_, destroyed);
  object->inner = std::make_unique<Doomed>(*loop_, destroyed);
  Source source(*loop_, [&](std::uint32_t) {
    loop_->destroy_later(std::move(object));
    EXPECT_EQ(destroyed, 0);
  });
  source.raise();
  loop_->run_once();
  EXPECT_EQ(destroyed, 2);
}

TEST_F(EventLoopTest, StopEndsRunAfterTheIteration) {
  Source source(*loop_, [&](std::uint32_t) { loop_->stop(); });
  source.raise();
  loop_->run();
}

TEST_F(EventLoopTest, AnInterruptedWaitIsNotAnError) {
  // A handler without SA_RESTART and a timer that interrupts epoll_wait with EINTR.
  struct sigaction action {};
  action.sa_handler = [](int) {};
  struct sigaction former;
  ::sigaction(SIGALRM, &action, &former);
  const itimerval soon{{0, 0}, {0, 1000}};
  ::setitimer(ITIMER_REAL, &soon, nullptr);
  loop_->run_once(std::chrono::seconds(30));
  ::sigaction(SIGALRM, &former, nullptr);
}

TEST_F(EventLoopTest, SignalsArriveAsEvents) {
  struct Seen {
    void on_signal(int number) noexcept { signal = number; }
    int signal = 0;
  } seen;
  auto watcher = SignalWatcher::create(*loop_, {SIGUSR1, SIGUSR2},
                                       SignalWatcher::Callback::to<&Seen::on_signal>(&seen));
  ASSERT_TRUE(watcher);
  ::raise(SIGUSR2);
  loop_->run_once();
  EXPECT_EQ(seen.signal, SIGUSR2);
}

}  // namespace
}  // namespace nsrelay
