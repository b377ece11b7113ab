#include "nsrelay/netns/netns_watcher.hpp"

#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace nsrelay {
namespace {

constexpr auto kShortestInterval = std::chrono::milliseconds(5);
constexpr auto kRescanInterval = std::chrono::seconds(5);
constexpr auto kRescanIntervalWithoutEvents = std::chrono::milliseconds(500);
constexpr std::size_t kFilesPerSlice = 256;

}  // namespace

/// The end of one process.
struct NetnsWatcher::ProcessWatch {
  ProcessWatch(NetnsWatcher& owner_, UniqueFd pidfd)
      : owner(owner_), fd(std::move(pidfd)), watcher(owner_.loop_) {}

  void on_end(std::uint32_t /*events*/) noexcept {
    watcher.stop();  // it stays readable
    owner.want_refresh();
  }

  NetnsWatcher& owner;
  UniqueFd fd;
  IoWatcher watcher;
};

NetnsWatcher::NetnsWatcher(EventLoop& loop, NetnsRegistry& registry, Delegate<void()> changed)
    : loop_(loop),
      registry_(registry),
      changed_(changed),
      folder_watcher_(loop),
      refresh_(loop, kShortestInterval, Delegate<void()>::to<&NetnsWatcher::on_wanted>(this)),
      next_slice_(loop, Delegate<void()>::to<&NetnsWatcher::refresh>(this)),
      rescan_(loop.timers(), Delegate<void()>::to<&NetnsWatcher::on_rescan>(this)) {}

NetnsWatcher::~NetnsWatcher() = default;

void NetnsWatcher::start() {
  if (auto mounts =
          MountWatcher::create(loop_, Delegate<void()>::to<&NetnsWatcher::want_refresh>(this)))
    mounts_ = *std::move(mounts);
  inotify_ = UniqueFd::adopt(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (inotify_ && !folder_watcher_.start(inotify_.get(), EPOLLIN,
                                         IoCallback::to<&NetnsWatcher::on_folder_event>(this)))
    inotify_.close();
  want_refresh();
  on_rescan();
}

void NetnsWatcher::on_wanted() noexcept {
  if (next_slice_.is_scheduled())
    wanted_meanwhile_ = true;
  else
    refresh();
}

void NetnsWatcher::refresh() noexcept {
  watch_folders();  // before looking: what comes after the look then makes an event
  const NetnsRegistry::Refreshed outcome = registry_.refresh(kFilesPerSlice);
  watch_processes();
  if (outcome.more)
    next_slice_.schedule();
  else if (std::exchange(wanted_meanwhile_, false))
    want_refresh();
  if (outcome.changed)
    changed_();
}

void NetnsWatcher::on_rescan() noexcept {
  want_refresh();
  rescan_.start(loop_.now() +
                (mounts_ ? Duration(kRescanInterval) : Duration(kRescanIntervalWithoutEvents)));
}

void NetnsWatcher::on_folder_event(std::uint32_t /*events*/) noexcept {
  alignas(inotify_event) std::array<char, 4096> events;
  ssize_t size = 0;
  while ((size = ::read(inotify_.get(), events.data(), events.size())) > 0) {
    for (ssize_t at = 0; at < size;) {
      const auto* event =
          reinterpret_cast<const inotify_event*>(&events[static_cast<std::size_t>(at)]);
      // A folder that went may come again, and is then another one to watch.
      if ((event->mask & IN_IGNORED) != 0)
        watched_folders_.clear();
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
  }
  want_refresh();
}

void NetnsWatcher::watch_folders() {
  if (!inotify_)
    return;
  for (const std::string& folder : registry_.folders())
    if (!watched_folders_.contains(folder) &&
        ::inotify_add_watch(inotify_.get(), folder.c_str(),
                            IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR) >= 0)
      watched_folders_.insert(folder);
}

/// A copy of each pidfd is watched, because the registry closes its own when it likes.
void NetnsWatcher::watch_processes() {
  std::map<pid_t, std::unique_ptr<ProcessWatch>> former;
  former.swap(processes_);
  for (const auto& [pid, fd] : registry_.live_processes()) {
    auto& watch = processes_[pid];
    if (const auto known = former.find(pid); known != former.end()) {
      watch = std::move(known->second);
      continue;
    }
    watch = std::make_unique<ProcessWatch>(*this, UniqueFd::adopt(::fcntl(fd, F_DUPFD_CLOEXEC, 0)));
    (void)watch->watcher.start(watch->fd.get(), EPOLLIN,
                               IoCallback::to<&ProcessWatch::on_end>(watch.get()));
  }
}

}  // namespace nsrelay
