#include "nsrelay/event/deferred_queue.hpp"

#include <algorithm>
#include <utility>

namespace nsrelay {

void DeferredQueue::add(Delegate<void()> call) {
  waiting_.push_back(call);
  run_.schedule();
}

void DeferredQueue::remove(const Delegate<void()>& call) {
  std::erase(waiting_, call);
  // Not erased from under the loop that goes over them.
  std::replace(running_.begin(), running_.end(), call, Delegate<void()>());
}

void DeferredQueue::on_run() noexcept {
  running_.swap(waiting_);
  for (std::size_t i = 0; i < running_.size(); ++i)
    if (const Delegate<void()> call = std::exchange(running_[i], Delegate<void()>()))
      call();
  running_.clear();
}

}  // namespace nsrelay
