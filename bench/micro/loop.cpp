// What an iteration of the event loop costs by how many descriptors it knows and how many are
// ready.

#include <benchmark/benchmark.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "nsrelay/event/event_loop.hpp"
#include "nsrelay/event/io_watcher.hpp"

namespace nsrelay {
namespace {

/// An eventfd that is watched, and stays readable once it is written to.
class Source {
 public:
  explicit Source(EventLoop& loop)
      : fd_(UniqueFd::adopt(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))), watcher_(loop) {
    if (!watcher_.start(fd_.get(), EPOLLIN, IoCallback::to<&Source::on_readable>(this)))
      std::abort();
  }

  void make_readable() {
    const std::uint64_t one = 1;
    if (::write(fd_.get(), &one, sizeof one) != sizeof one)
      std::abort();
  }

 private:
  void on_readable(std::uint32_t events) noexcept { benchmark::DoNotOptimize(events); }

  UniqueFd fd_;
  IoWatcher watcher_;
};

void dispatch(benchmark::State& state) {
  const auto watched = static_cast<std::size_t>(state.range(0));
  const auto ready = static_cast<std::size_t>(state.range(1));
  auto loop = EventLoop::create();
  if (!loop)
    return state.SkipWithError("no event loop");
  std::vector<std::unique_ptr<Source>> sources;
  for (std::size_t i = 0; i < watched; ++i)
    sources.push_back(std::make_unique<Source>(**loop));
  for (std::size_t i = 0; i < ready; ++i)
    sources[i * watched / ready]->make_readable();
  for (auto _ : state)
    (*loop)->run_once();
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(ready));
}
BENCHMARK(dispatch)->Args({10, 1})->Args({1000, 1})->Args({1000, 100});

struct Nothing {
  void on_call() noexcept {}
};

void deferred_call(benchmark::State& state) {
  auto loop = EventLoop::create();
  if (!loop)
    return state.SkipWithError("no event loop");
  Nothing nothing;
  DeferredCall call(**loop, Delegate<void()>::to<&Nothing::on_call>(&nothing));
  for (auto _ : state) {
    call.schedule();
    (*loop)->run_once();
  }
}
BENCHMARK(deferred_call);

}  // namespace
}  // namespace nsrelay
