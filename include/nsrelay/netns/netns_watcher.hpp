#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "nsrelay/event/coalesced_call.hpp"
#include "nsrelay/event/event_loop.hpp"
#include "nsrelay/event/io_watcher.hpp"
#include "nsrelay/netns/mount_watcher.hpp"
#include "nsrelay/netns/netns_registry.hpp"

namespace nsrelay {

/// Knows when the registry has to look again, and makes it do so.
///
/// Theory of operation. A mount event, a change in a folder (a link to a namespace is no mount) and
/// the end of a process each ask for a refresh. The first is done at the end of the loop's
/// iteration; those that follow within a few milliseconds are done together, so that thousands of
/// events cost few refreshes. A refresh opens a bounded number of files and goes on in the next
/// iteration. A slow rescan behind all of it finds what no event told.
class NetnsWatcher {
 public:
  /// Borrows `loop` and `registry`. `changed` is called when a refresh changed something.
  NetnsWatcher(EventLoop& loop, NetnsRegistry& registry, Delegate<void()> changed);
  NetnsWatcher(const NetnsWatcher&) = delete;
  NetnsWatcher& operator=(const NetnsWatcher&) = delete;
  ~NetnsWatcher();

  /// Starts: events of what the registry follows by now. Whatever kind of event cannot be had is
  /// made up for by the slow rescan, which is then less slow.
  void start();

 private:
  struct ProcessWatch;

  void want_refresh() noexcept { refresh_.request(); }
  void on_wanted() noexcept;
  void refresh() noexcept;
  void on_folder_event(std::uint32_t events) noexcept;
  void on_rescan() noexcept;
  void watch_folders();
  void watch_processes();

  EventLoop& loop_;
  NetnsRegistry& registry_;
  Delegate<void()> changed_;
  std::unique_ptr<MountWatcher> mounts_;
  UniqueFd inotify_;
  IoWatcher folder_watcher_;
  std::set<std::string> watched_folders_;
  std::map<pid_t, std::unique_ptr<ProcessWatch>> processes_;
  CoalescedCall refresh_;
  DeferredCall next_slice_;
  bool wanted_meanwhile_ = false;  ///< while a refresh was going on in slices
  Timer rescan_;
};

}  // namespace nsrelay
