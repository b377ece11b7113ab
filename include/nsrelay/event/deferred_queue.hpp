#pragma once

#include <vector>

#include "nsrelay/base/delegate.hpp"
#include "nsrelay/event/event_loop.hpp"

namespace nsrelay {

/// Calls at the end of the iteration for objects of which there are many: one that waits for
/// nothing costs nothing here, where a DeferredCall of its own would cost it 40 bytes. Otherwise
/// the same: what is added from one of these calls is called in the next iteration.
class DeferredQueue {
 public:
  /// Borrows `loop`, which must outlive this object.
  explicit DeferredQueue(EventLoop& loop)
      : run_(loop, Delegate<void()>::to<&DeferredQueue::on_run>(this)) {}

  /// Whose call it is must remove() it before dying.
  void add(Delegate<void()> call);

  /// Does nothing where it is not waiting. Looks through all that wait.
  void remove(const Delegate<void()>& call);

 private:
  void on_run() noexcept;

  DeferredCall run_;
  std::vector<Delegate<void()>> waiting_;
  std::vector<Delegate<void()>> running_;
};

}  // namespace nsrelay
