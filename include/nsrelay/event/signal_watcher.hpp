#pragma once

#include <csignal>
#include <initializer_list>
#include <memory>

#include "nsrelay/base/result.hpp"
#include "nsrelay/event/io_watcher.hpp"

namespace nsrelay {

/// Delivers signals as events of the loop (signalfd(2)). While it lives, the signals are blocked
/// in the calling thread; afterwards the former mask is restored.
class SignalWatcher {
 public:
  using Callback = Delegate<void(int)>;

  /// Blocks `signals` and calls back with each one's number. Equal signals that arrive together
  /// are one, as always. Fails with the error of signalfd(2) or epoll_ctl(2).
  static Result<std::unique_ptr<SignalWatcher>> create(EventLoop& loop,
                                                       std::initializer_list<int> signals,
                                                       Callback callback);

  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;
  ~SignalWatcher();

 private:
  SignalWatcher(EventLoop& loop, Callback callback) : watcher_(loop), callback_(callback) {}

  void on_readable(std::uint32_t events) noexcept;

  sigset_t former_mask_{};
  UniqueFd fd_;
  IoWatcher watcher_;
  Callback callback_;
};

}  // namespace nsrelay
