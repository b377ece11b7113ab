#include "nsrelay/netns/mount_watcher.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "nsrelay/netns/mount_events.hpp"

namespace nsrelay {
namespace {

constexpr std::size_t kPagesPerSlice = 8;

Result<UniqueFd> open_mountinfo() {
  UniqueFd file = UniqueFd::adopt(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  if (!file)
    return Error::from_errno("/proc/self/mountinfo");
  return file;
}

}  // namespace

MountWatcher::MountWatcher(EventLoop& loop, Callback changed, Method method)
    : method_(method),
      watcher_(loop),
      next_slice_(loop, Delegate<void()>::to<&MountWatcher::read_table>(this)),
      changed_(changed) {}

Result<std::unique_ptr<MountWatcher>> MountWatcher::create(EventLoop& loop, Callback changed) {
  auto watcher = create(loop, changed, Method::Fanotify);
  return watcher ? std::move(watcher) : create(loop, changed, Method::Mountinfo);
}

Result<std::unique_ptr<MountWatcher>> MountWatcher::create(EventLoop& loop, Callback changed,
                                                           Method method) {
  const bool fanotify = method == Method::Fanotify;
  auto fd = fanotify ? open_mount_events() : open_mountinfo();
  if (!fd)
    return std::move(fd).error();
  std::unique_ptr<MountWatcher> made(new MountWatcher(loop, changed, method));
  made->fd_ = *std::move(fd);
  auto started = made->watcher_.start(made->fd_.get(),
                                      fanotify ? std::uint32_t{EPOLLIN} : std::uint32_t{EPOLLPRI},
                                      IoCallback::to<&MountWatcher::on_event>(made.get()));
  if (!started)
    return std::move(started).error();
  if (!fanotify) {
    made->table_.read(SIZE_MAX);  // what is there now is no change
    made->table_.take_changed();
  }
  return made;
}

void MountWatcher::on_event(std::uint32_t /*events*/) noexcept {
  if (method_ == Method::Fanotify)
    read_events();
  else if (next_slice_.is_scheduled())
    changed_meanwhile_ = true;
  else
    read_table();
}

/// The watcher is level-triggered: what is left comes in the next iteration.
void MountWatcher::read_events() {
  alignas(std::uint64_t) std::array<char, 8192> events;
  const ssize_t size = ::read(fd_.get(), events.data(), events.size());
  if (size <= 0)
    return;
  MountChanges changes;
  parse_mount_events(events.data(), static_cast<std::size_t>(size), changes);
  changed_(changes);
}

/// Polling mountinfo is what acknowledges its event.
void MountWatcher::read_table() noexcept {
  const bool is_more = table_.read(kPagesPerSlice);
  if (is_more || std::exchange(changed_meanwhile_, false))
    next_slice_.schedule();
  const MountChanges changes{.paths = table_.take_changed(), .gone = {}, .lost = false};
  if (!is_more || !changes.paths.empty())
    changed_(changes);
}

std::string_view to_string(MountWatcher::Method method) {
  return method == MountWatcher::Method::Fanotify ? "fanotify" : "mountinfo";
}

}  // namespace nsrelay
