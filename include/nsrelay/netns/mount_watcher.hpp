#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "nsrelay/base/result.hpp"
#include "nsrelay/event/io_watcher.hpp"
#include "nsrelay/netns/mount_table.hpp"

namespace nsrelay {

/// What was mounted and unmounted.
struct MountChanges {
  /// Where something was mounted; with Method::Mountinfo also where something was unmounted.
  std::vector<std::string> paths;
  /// Unique ids (STATX_MNT_ID_UNIQUE) of mounts that are gone or were moved.
  std::vector<std::uint64_t> gone;
  /// Events were lost: anything may have changed.
  bool lost = false;
};

/// Says what was mounted or unmounted in the mount namespace of the process, which is how a named
/// network namespace appears and goes.
///
/// With fanotify's mount events where the kernel has them (6.15), which name the mount; else by
/// polling /proc/self/mountinfo for POLLPRI (proc(5)), which is then read, in slices, and compared
/// with what it said before. That finds nothing where a mount was replaced by one with the same id
/// meanwhile: look slowly besides.
class MountWatcher {
 public:
  enum class Method : std::uint8_t { Fanotify, Mountinfo };
  using Callback = Delegate<void(const MountChanges&)>;

  /// Fails where neither works. `method`: only this one, for tests and `doctor`.
  static Result<std::unique_ptr<MountWatcher>> create(EventLoop& loop, Callback changed);
  static Result<std::unique_ptr<MountWatcher>> create(EventLoop& loop, Callback changed,
                                                      Method method);

  MountWatcher(const MountWatcher&) = delete;
  MountWatcher& operator=(const MountWatcher&) = delete;

  [[nodiscard]] Method method() const { return method_; }

 private:
  MountWatcher(EventLoop& loop, Callback changed, Method method);

  void on_event(std::uint32_t events) noexcept;
  void read_events();
  void read_table() noexcept;

  Method method_;
  UniqueFd fd_;
  IoWatcher watcher_;
  DeferredCall next_slice_;
  MountTable table_;
  bool changed_meanwhile_ = false;  ///< while the table was being read
  Callback changed_;
};

/// "fanotify" or "mountinfo".
std::string_view to_string(MountWatcher::Method method);

}  // namespace nsrelay
