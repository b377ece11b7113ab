#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/event/io_watcher.hpp"

namespace nsrelay {

/// Tells which names change in a set of folders, and when such a folder itself comes or goes
/// (inotify(7)). For an absent one the nearest folder above it is watched. What cannot be watched
/// (/proc/sys/fs/inotify/max_user_watches) is not told: look slowly besides.
class FolderWatcher {
 public:
  using Callback = Delegate<void(const std::string&)>;

  /// Borrows `loop`. `name_changed` gets a path below one of the folders; `folder_changed` a
  /// folder that is another one now, or in which anything may have happened.
  FolderWatcher(EventLoop& loop, Callback name_changed, Callback folder_changed);
  FolderWatcher(const FolderWatcher&) = delete;
  FolderWatcher& operator=(const FolderWatcher&) = delete;

  /// Watches these folders, as they are now, and no others.
  void follow(const std::set<std::string>& folders);

  /// Where links and `..` in the folders lead to counts: the paths by which a file that the kernel
  /// calls `real_path` is known in the folders.
  [[nodiscard]] std::vector<std::string> known_as(const std::string& real_path) const;

  /// Whether a mount on `real_path` replaces one of the folders.
  [[nodiscard]] bool is_above_a_folder(std::string_view real_path) const;

 private:
  struct Watch {
    std::set<std::string> folders;
    /// Folders that are absent, by the name of the next part of their path.
    std::multimap<std::string, std::string> awaited;
  };
  using Watches = std::map<int, Watch>;

  void on_readable(std::uint32_t events) noexcept;
  void watch(const std::string& folder, Watches& watches);
  void on_lost();
  void on_folder_event(const Watch& watch);
  void on_name_event(const Watch& watch, const std::string& name);

  UniqueFd inotify_;
  IoWatcher watcher_;
  Callback name_changed_;
  Callback folder_changed_;
  std::map<std::string, std::string> folders_;  // real path by path; empty while absent
  Watches watches_;                             // by watch descriptor
};

}  // namespace nsrelay
