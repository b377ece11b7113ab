#include "nsrelay/event/signal_watcher.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

namespace nsrelay {

Result<std::unique_ptr<SignalWatcher>> SignalWatcher::create(EventLoop& loop,
                                                             std::initializer_list<int> signals,
                                                             Callback callback) {
  std::unique_ptr<SignalWatcher> made(new SignalWatcher(loop, callback));
  sigset_t mask;
  sigemptyset(&mask);
  for (int signal : signals)
    sigaddset(&mask, signal);
  ::pthread_sigmask(SIG_BLOCK, &mask, &made->former_mask_);
  made->fd_ = UniqueFd::adopt(::signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!made->fd_)
    return Error::from_errno("signalfd");
  auto started = made->watcher_.start(made->fd_.get(), EPOLLIN,
                                      IoCallback::to<&SignalWatcher::on_readable>(made.get()));
  if (!started)
    return std::move(started).error();
  return made;
}

SignalWatcher::~SignalWatcher() {
  watcher_.stop();
  ::pthread_sigmask(SIG_SETMASK, &former_mask_, nullptr);
}

void SignalWatcher::on_readable(std::uint32_t /*events*/) noexcept {
  signalfd_siginfo info;
  while (::read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info))
    callback_(static_cast<int>(info.ssi_signo));
}

}  // namespace nsrelay
