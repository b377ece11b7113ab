#include "interruptible.hpp"

#include <poll.h>

#include <array>

namespace nsrelay {
namespace {

constexpr std::array<int, 3> kSignals = {SIGINT, SIGTERM, SIGHUP};

volatile std::sig_atomic_t interrupted = 0;

}  // namespace

Interruptible::Interruptible() {
  interrupted = 0;
  sigset_t mask;
  sigemptyset(&mask);
  for (int signal : kSignals)
    sigaddset(&mask, signal);
  // Blocked but during a wait: a signal between two waits is not lost.
  ::sigprocmask(SIG_BLOCK, &mask, &former_mask_);
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  for (std::size_t i = 0; i < kSignals.size(); ++i)
    ::sigaction(kSignals[i], &action, &former_actions_[i]);
}

Interruptible::~Interruptible() {
  restore();
}

void Interruptible::restore() const {
  for (std::size_t i = 0; i < kSignals.size(); ++i)
    ::sigaction(kSignals[i], &former_actions_[i], nullptr);
  ::sigprocmask(SIG_SETMASK, &former_mask_, nullptr);
}

Result<void> Interruptible::wait_for(int fd, short events, Duration longest) const {
  pollfd waiting{fd, events, 0};
  const timespec timeout{longest.count() / 1000, longest.count() % 1000 * 1'000'000};
  const int ready = interrupted != 0 ? -1 : ::ppoll(&waiting, 1, &timeout, &former_mask_);
  if (interrupted != 0)
    return Error::from_errno("wait", EINTR);
  if (ready < 0)
    return Error::from_errno("poll");
  if (ready == 0)
    return Error::from_errno("wait", ETIMEDOUT);
  return {};
}

}  // namespace nsrelay
