#include "nsrelay/netns/mount_watcher.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace nsrelay {
namespace {

// linux/fanotify.h, newer than Debian 12's.
constexpr unsigned kFanReportMnt = 0x4000;
constexpr unsigned kFanMarkMntns = 0x110;
constexpr std::uint64_t kFanMntAttach = 0x01000000;
constexpr std::uint64_t kFanMntDetach = 0x02000000;
constexpr unsigned kFanCloexec = 0x1;
constexpr unsigned kFanNonblock = 0x2;
constexpr unsigned kFanMarkAdd = 0x1;

Result<UniqueFd> open_fanotify() {
  UniqueFd group = UniqueFd::adopt(static_cast<int>(
      ::syscall(SYS_fanotify_init, kFanReportMnt | kFanCloexec | kFanNonblock, 0U)));
  if (!group)
    return Error::from_errno("fanotify_init");
  const UniqueFd mounts = UniqueFd::adopt(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!mounts)
    return Error::from_errno("/proc/self/ns/mnt");
  if (::syscall(SYS_fanotify_mark, group.get(), kFanMarkAdd | kFanMarkMntns,
                kFanMntAttach | kFanMntDetach, mounts.get(), nullptr) != 0)
    return Error::from_errno("fanotify_mark");
  return group;
}

Result<UniqueFd> open_mountinfo() {
  UniqueFd file = UniqueFd::adopt(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  if (!file)
    return Error::from_errno("/proc/self/mountinfo");
  return file;
}

}  // namespace

Result<std::unique_ptr<MountWatcher>> MountWatcher::create(EventLoop& loop,
                                                           Delegate<void()> changed) {
  auto watcher = create(loop, changed, Method::Fanotify);
  return watcher ? std::move(watcher) : create(loop, changed, Method::Mountinfo);
}

Result<std::unique_ptr<MountWatcher>> MountWatcher::create(EventLoop& loop,
                                                           Delegate<void()> changed,
                                                           Method method) {
  const bool fanotify = method == Method::Fanotify;
  auto fd = fanotify ? open_fanotify() : open_mountinfo();
  if (!fd)
    return std::move(fd).error();
  std::unique_ptr<MountWatcher> made(new MountWatcher(loop, changed, method));
  made->fd_ = *std::move(fd);
  auto started = made->watcher_.start(made->fd_.get(),
                                      fanotify ? std::uint32_t{EPOLLIN} : std::uint32_t{EPOLLPRI},
                                      IoCallback::to<&MountWatcher::on_event>(made.get()));
  if (!started)
    return std::move(started).error();
  return made;
}

void MountWatcher::on_event(std::uint32_t /*events*/) noexcept {
  // What the events say does not matter, nor whether the queue overflowed. Polling mountinfo is
  // what acknowledges its event.
  std::array<char, 4096> events;
  while (method_ == Method::Fanotify && ::read(fd_.get(), events.data(), events.size()) > 0) {
  }
  changed_();
}

std::string_view to_string(MountWatcher::Method method) {
  return method == MountWatcher::Method::Fanotify ? "fanotify" : "mountinfo";
}

}  // namespace nsrelay
