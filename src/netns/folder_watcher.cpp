#include "nsrelay/netns/folder_watcher.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <utility>

#include "nsrelay/netns/netns_entry.hpp"

namespace nsrelay {
namespace {

// One for all: a second watch of a folder would replace the events of the first.
constexpr std::uint32_t kEvents =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MOVE_SELF | IN_ONLYDIR;
constexpr int kMostParts = 64;

/// Empty where there is none.
std::string real_path_of(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free);
  return real ? std::string(real.get()) : std::string();
}

bool is_same_or_above(std::string_view upper, std::string_view lower) {
  return lower.starts_with(upper) &&
         (lower.size() == upper.size() || upper == "/" || lower[upper.size()] == '/');
}

}  // namespace

FolderWatcher::FolderWatcher(EventLoop& loop, Callback name_changed, Callback folder_changed)
    : inotify_(UniqueFd::adopt(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC))),
      watcher_(loop),
      name_changed_(name_changed),
      folder_changed_(folder_changed) {
  if (inotify_ &&
      !watcher_.start(inotify_.get(), EPOLLIN, IoCallback::to<&FolderWatcher::on_readable>(this)))
    inotify_.close();
}

void FolderWatcher::follow(const std::set<std::string>& folders) {
  folders_.clear();
  Watches watches;
  for (const std::string& folder : folders)
    watch(folder, watches);
  for (const auto& [descriptor, former] : watches_)
    if (!watches.contains(descriptor))
      ::inotify_rm_watch(inotify_.get(), descriptor);
  watches_ = std::move(watches);
}

/// Upwards until something is there. What comes between two looks is found by the second: the
/// folder above is watched by then.
void FolderWatcher::watch(const std::string& folder, Watches& watches) {
  folders_[folder] = real_path_of(folder);
  std::string at = folder;
  std::string missing;
  for (int parts = 0; parts < kMostParts && inotify_; ++parts) {
    const int descriptor = ::inotify_add_watch(inotify_.get(), at.c_str(), kEvents);
    if (descriptor >= 0 && missing.empty()) {
      watches[descriptor].folders.insert(folder);
      folders_[folder] = real_path_of(folder);
      return;
    }
    if (descriptor >= 0) {
      watches[descriptor].awaited.emplace(missing, folder);
      const std::string next = join_path(at, missing);
      if (real_path_of(next).empty())
        return;
      at = folder;  // it came just now
      missing.clear();
    } else if (at == "/") {
      return;
    } else {
      missing = last_part(at);
      at = folder_of_path(at);
    }
  }
}

std::vector<std::string> FolderWatcher::known_as(const std::string& real_path) const {
  const std::string real_folder = folder_of_path(real_path);
  std::vector<std::string> paths;
  for (const auto& [folder, real] : folders_)
    if (real == real_folder)
      paths.push_back(join_path(folder, last_part(real_path)));
  return paths;
}

bool FolderWatcher::is_above_a_folder(std::string_view real_path) const {
  for (const auto& [folder, real] : folders_)
    if (is_same_or_above(real_path, real) || is_same_or_above(real_path, folder))
      return true;
  return false;
}

void FolderWatcher::on_readable(std::uint32_t /*events*/) noexcept {
  alignas(inotify_event) std::array<char, 4096> events;
  const ssize_t size = ::read(inotify_.get(), events.data(), events.size());
  for (ssize_t at = 0; at < size;) {
    const auto* event =
        reinterpret_cast<const inotify_event*>(&events[static_cast<std::size_t>(at)]);
    at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    if ((event->mask & IN_Q_OVERFLOW) != 0) {
      on_lost();
      continue;
    }
    const auto found = watches_.find(event->wd);
    if (found == watches_.end())
      continue;
    const Watch watch = found->second;  // what is called may follow other folders
    if ((event->mask & (IN_IGNORED | IN_MOVE_SELF)) != 0)
      on_folder_event(watch);
    else if (event->len > 0)
      on_name_event(watch, event->name);
  }
}

void FolderWatcher::on_lost() {
  const auto folders = folders_;
  for (const auto& [folder, real] : folders)
    folder_changed_(folder);
}

void FolderWatcher::on_folder_event(const Watch& watch) {
  for (const std::string& folder : watch.folders)
    folder_changed_(folder);
  for (const auto& [name, folder] : watch.awaited)
    folder_changed_(folder);
}

void FolderWatcher::on_name_event(const Watch& watch, const std::string& name) {
  for (const std::string& folder : watch.folders)
    name_changed_(join_path(folder, name));
  const auto [first, last] = watch.awaited.equal_range(name);
  for (auto one = first; one != last; ++one)
    folder_changed_(one->second);
}

}  // namespace nsrelay
