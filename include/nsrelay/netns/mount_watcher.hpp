#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "nsrelay/base/result.hpp"
#include "nsrelay/event/io_watcher.hpp"

namespace nsrelay {

/// Says that something was mounted or unmounted in the mount namespace of the process, which is how
/// a named network namespace appears and goes. It does not say what: look.
///
/// With fanotify's mount events where the kernel has them (6.15), else by polling
/// /proc/self/mountinfo for POLLPRI (proc(5)).
class MountWatcher {
 public:
  enum class Method : std::uint8_t { Fanotify, Mountinfo };

  /// Fails where neither works. `method`: only this one, for tests and `doctor`.
  static Result<std::unique_ptr<MountWatcher>> create(EventLoop& loop, Delegate<void()> changed);
  static Result<std::unique_ptr<MountWatcher>> create(EventLoop& loop, Delegate<void()> changed,
                                                      Method method);

  MountWatcher(const MountWatcher&) = delete;
  MountWatcher& operator=(const MountWatcher&) = delete;

  [[nodiscard]] Method method() const { return method_; }

 private:
  MountWatcher(EventLoop& loop, Delegate<void()> changed, Method method)
      : method_(method), watcher_(loop), changed_(changed) {}

  void on_event(std::uint32_t events) noexcept;

  Method method_;
  UniqueFd fd_;
  IoWatcher watcher_;
  Delegate<void()> changed_;
};

/// "fanotify" or "mountinfo".
std::string_view to_string(MountWatcher::Method method);

}  // namespace nsrelay
