#pragma once

#include <map>
#include <memory>
#include <string>

#include "nsrelay/event/coalesced_call.hpp"
#include "nsrelay/event/event_loop.hpp"
#include "nsrelay/netns/folder_watcher.hpp"
#include "nsrelay/netns/mount_watcher.hpp"
#include "nsrelay/netns/netns_registry.hpp"

namespace nsrelay {

/// Knows which names the registry has to look at again, and makes it do so.
///
/// Theory of operation. A mount event, a change in a folder (a link to a namespace is no mount) and
/// the end of a process each make some names suspect. The first look is at the end of the loop's
/// iteration; what comes within a few milliseconds is looked at together. A look takes a bounded
/// number of names and goes on in the next iteration. A slow rescan of everything behind all of it
/// finds what no event told.
class NetnsWatcher {
 public:
  using Callback = Delegate<void(const NetnsChanges&)>;

  /// Borrows `loop` and `registry`. `changed` is called when a look changed something.
  NetnsWatcher(EventLoop& loop, NetnsRegistry& registry, Callback changed);
  NetnsWatcher(const NetnsWatcher&) = delete;
  NetnsWatcher& operator=(const NetnsWatcher&) = delete;
  ~NetnsWatcher();

  /// Starts: events of what the registry follows by now. Whatever kind of event cannot be had is
  /// made up for by the rescan, which is then less slow.
  void start();

  /// The registry follows other names than before. Rescans now.
  void follow_again();

 private:
  struct ProcessWatch;

  void on_mounts(const MountChanges& changes) noexcept;
  void on_name(const std::string& path) noexcept;
  void on_folder(const std::string& folder) noexcept;
  void on_process_end(pid_t pid);
  void look() noexcept;
  void on_rescan() noexcept { follow_again(); }
  void on_everything_seen();
  void watch_processes();

  EventLoop& loop_;
  NetnsRegistry& registry_;
  Callback changed_;
  std::unique_ptr<MountWatcher> mounts_;
  FolderWatcher folders_;
  std::map<pid_t, std::unique_ptr<ProcessWatch>> processes_;
  CoalescedCall wanted_;
  DeferredCall next_slice_;
  bool rescanning_ = false;
  TimePoint rescan_began_{};
  Timer rescan_;
};

}  // namespace nsrelay
