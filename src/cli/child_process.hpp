#pragma once

#include <sys/types.h>

#include <functional>

#include "interruptible.hpp"
#include "nsrelay/base/result.hpp"

namespace nsrelay {

/// A forked child. It is killed with its parent (PR_SET_PDEATHSIG), and ended and waited for when
/// this is destroyed.
class ChildProcess {
 public:
  ChildProcess() = default;
  /// Runs `body` in a child, with the signals as they were before `signals`.
  static Result<ChildProcess> start(const Interruptible& signals, const std::function<int()>& body);

  ChildProcess(ChildProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess() { stop(); }

  /// SIGTERM, then waits. Does nothing when there is none.
  void stop() noexcept;

 private:
  pid_t pid_ = -1;
};

}  // namespace nsrelay
