#pragma once

#include <csignal>

#include "nsrelay/base/duration.hpp"
#include "nsrelay/base/result.hpp"

namespace nsrelay {

/// While it lives, SIGINT, SIGTERM and SIGHUP do not end the process; they end waits, so that what
/// was made can be taken away in order. One at a time.
class Interruptible {
 public:
  Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;
  ~Interruptible();

  /// Waits for `events` (poll(2)) on `fd`. Fails with EINTR when a signal came, ETIMEDOUT when
  /// `longest` has passed.
  Result<void> wait_for(int fd, short events, Duration longest) const;

  /// For a child process: signals do what they did before.
  void restore() const;

 private:
  sigset_t former_mask_{};
  struct sigaction former_actions_[3]{};
};

}  // namespace nsrelay
