#include "nsrelay/netns/netns_watcher.hpp"

#include <fcntl.h>

#include <algorithm>
#include <utility>

namespace nsrelay {
namespace {

constexpr auto kShortestInterval = std::chrono::milliseconds(5);
constexpr Duration kRescanInterval = std::chrono::seconds(5);
constexpr Duration kRescanIntervalWithoutEvents = std::chrono::milliseconds(500);
constexpr Duration kLongestRescanInterval = std::chrono::seconds(60);
/// A rescan has at most this part of the time: where no stamp is certain it opens every file.
constexpr int kRescanShare = 200;
constexpr std::size_t kNamesPerSlice = 32;

}  // namespace

/// The end of one process.
struct NetnsWatcher::ProcessWatch {
  ProcessWatch(NetnsWatcher& owner_, pid_t pid_, UniqueFd pidfd)
      : owner(owner_), pid(pid_), fd(std::move(pidfd)), watcher(owner_.loop_) {}

  void on_end(std::uint32_t /*events*/) noexcept {
    watcher.stop();  // it stays readable
    owner.on_process_end(pid);
  }

  NetnsWatcher& owner;
  pid_t pid;
  UniqueFd fd;
  IoWatcher watcher;
};

NetnsWatcher::NetnsWatcher(EventLoop& loop, NetnsRegistry& registry, Callback changed)
    : loop_(loop),
      registry_(registry),
      changed_(changed),
      folders_(loop, FolderWatcher::Callback::to<&NetnsWatcher::on_name>(this),
               FolderWatcher::Callback::to<&NetnsWatcher::on_folder>(this)),
      wanted_(loop, kShortestInterval, Delegate<void()>::to<&NetnsWatcher::look>(this)),
      next_slice_(loop, Delegate<void()>::to<&NetnsWatcher::look>(this)),
      rescan_(loop.timers(), Delegate<void()>::to<&NetnsWatcher::on_rescan>(this)) {}

NetnsWatcher::~NetnsWatcher() = default;

void NetnsWatcher::start() {
  if (auto mounts =
          MountWatcher::create(loop_, MountWatcher::Callback::to<&NetnsWatcher::on_mounts>(this)))
    mounts_ = *std::move(mounts);
  follow_again();
}

void NetnsWatcher::follow_again() {
  folders_.follow(registry_.folders());  // before looking: what comes after it makes an event
  registry_.suspect_everything();
  rescanning_ = true;
  rescan_began_ = loop_.now();
  wanted_.request();
}

void NetnsWatcher::on_mounts(const MountChanges& changes) noexcept {
  bool is_anything = changes.lost;
  for (const std::string& path : changes.paths) {
    is_anything |= folders_.is_above_a_folder(path);
    for (const std::string& known : folders_.known_as(path))
      registry_.suspect(known);
  }
  for (const std::uint64_t mount : changes.gone)
    registry_.suspect_mount(mount);
  registry_.suspect_links();
  if (is_anything)
    follow_again();
  wanted_.request();
}

void NetnsWatcher::on_name(const std::string& path) noexcept {
  registry_.suspect(path);
  wanted_.request();
}

void NetnsWatcher::on_folder(const std::string& /*folder*/) noexcept {
  follow_again();
}

void NetnsWatcher::on_process_end(pid_t pid) {
  registry_.suspect_process(pid);
  wanted_.request();
}

void NetnsWatcher::look() noexcept {
  if (registry_.look(kNamesPerSlice))
    next_slice_.schedule();
  else if (std::exchange(rescanning_, false))
    on_everything_seen();
  const NetnsChanges changes = registry_.take_changes();
  if (!changes.identities.empty())
    changed_(changes);
}

void NetnsWatcher::on_everything_seen() {
  watch_processes();
  const Duration interval = mounts_ ? kRescanInterval : kRescanIntervalWithoutEvents;
  const auto took = std::chrono::duration_cast<Duration>(loop_.now() - rescan_began_);
  rescan_.start(loop_.now() + std::clamp(took * kRescanShare, interval, kLongestRescanInterval));
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
    watch = std::make_unique<ProcessWatch>(*this, pid,
                                           UniqueFd::adopt(::fcntl(fd, F_DUPFD_CLOEXEC, 0)));
    (void)watch->watcher.start(watch->fd.get(), EPOLLIN,
                               IoCallback::to<&ProcessWatch::on_end>(watch.get()));
  }
}

}  // namespace nsrelay
