#pragma once

#include <cstddef>

#include "nsrelay/base/result.hpp"
#include "nsrelay/base/unique_fd.hpp"

namespace nsrelay {

struct MountChanges;

/// A fanotify group (fanotify_init(2), FAN_REPORT_MNT) that hears what is mounted and unmounted in
/// the mount namespace of the process. Fails with EINVAL before Linux 6.15, with EPERM without
/// CAP_SYS_ADMIN and where statmount(2), which says where a mount is, is not allowed (a sandbox).
Result<UniqueFd> open_mount_events();

/// Adds what `size` bytes of events, as read(2) gave them, tell to `changes`. Where a mount is now
/// is asked of statmount(2); where that fails, `lost` is set.
void parse_mount_events(const void* events, std::size_t size, MountChanges& changes);

}  // namespace nsrelay
