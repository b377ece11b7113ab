// What a timer costs by how many run.

#include <benchmark/benchmark.h>

#include <chrono>
#include <memory>
#include <vector>

#include "nsrelay/event/timer_queue.hpp"

namespace nsrelay {
namespace {

struct Nothing {
  void on_call() noexcept {}
};

/// As many timers as connections, each with a deadline of its own.
class Timers {
 public:
  explicit Timers(std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      timers_.push_back(
          std::make_unique<Timer>(queue_, Delegate<void()>::to<&Nothing::on_call>(&nothing_)));
      timers_.back()->start(at(i * 7919 % count));
    }
  }

  static TimePoint at(std::int64_t milliseconds) {
    return TimePoint(std::chrono::hours(1)) + std::chrono::milliseconds(milliseconds);
  }

  TimerQueue& queue() { return queue_; }
  Timer& operator[](std::int64_t i) { return *timers_[static_cast<std::size_t>(i)]; }

 private:
  Nothing nothing_;
  TimerQueue queue_;
  std::vector<std::unique_ptr<Timer>> timers_;
};

void move_a_timer(benchmark::State& state) {
  const std::int64_t count = state.range(0);
  Timers timers(count);
  std::int64_t i = 0;
  for (auto _ : state) {
    timers[i % count].start(Timers::at(count + i));
    ++i;
  }
}
BENCHMARK(move_a_timer)->Arg(10)->Arg(1000)->Arg(100000);

void start_and_stop(benchmark::State& state) {
  Timers timers(state.range(0));
  Nothing nothing;
  Timer timer(timers.queue(), Delegate<void()>::to<&Nothing::on_call>(&nothing));
  for (auto _ : state) {
    timer.start(Timers::at(state.range(0) / 2));
    timer.stop();
  }
}
BENCHMARK(start_and_stop)->Arg(10)->Arg(1000)->Arg(100000);

void nothing_is_due(benchmark::State& state) {
  Timers timers(state.range(0));
  for (auto _ : state)
    timers.queue().run_due(Timers::at(-1));
}
BENCHMARK(nothing_is_due)->Arg(10)->Arg(100000);

}  // namespace
}  // namespace nsrelay
