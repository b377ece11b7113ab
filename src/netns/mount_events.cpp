#include "nsrelay/netns/mount_events.hpp"

#include <fcntl.h>
#include <linux/fanotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "nsrelay/netns/mount_watcher.hpp"

namespace nsrelay {
namespace {

// linux/fanotify.h and linux/mount.h, newer than Debian 12's.
constexpr unsigned kFanReportMnt = 0x4000;
constexpr unsigned kFanMarkMntns = 0x110;
constexpr std::uint64_t kFanMntAttach = 0x01000000;
constexpr std::uint64_t kFanMntDetach = 0x02000000;
constexpr std::uint8_t kInfoTypeMount = 7;
constexpr long kStatmount = 457;  // since 6.8, the same on every architecture
constexpr std::uint64_t kStatmountPoint = 0x10;

struct MountInfo {
  fanotify_event_info_header header;
  std::uint64_t mount_id;
};

struct StatmountRequest {
  std::uint32_t size = 24;  // MNT_ID_REQ_SIZE_VER0
  std::uint32_t spare = 0;
  std::uint64_t mount_id = 0;
  std::uint64_t what = kStatmountPoint;
};

struct StatmountAnswer {
  std::array<std::byte, 104> other;
  std::uint32_t root;
  std::uint32_t point;  ///< offset into `text`
  std::array<std::byte, 400> spare;
  std::array<char, 8192> text;
};
static_assert(offsetof(StatmountAnswer, text) == 512);

/// ENOENT where that mount is gone.
Result<std::string> mount_point_of(std::uint64_t mount_id) {
  StatmountRequest request;
  request.mount_id = mount_id;
  static StatmountAnswer answer;
  if (::syscall(kStatmount, &request, &answer, sizeof answer, 0U) != 0)
    return Error::from_errno("statmount");
  return std::string(&answer.text.at(answer.point));
}

/// Whether this process may ask where a mount is; a sandbox may not know that call. 0 is no mount.
bool may_ask_for_mount_points() {
  const auto point = mount_point_of(0);
  return point || (point.error().number() != EPERM && point.error().number() != ENOSYS);
}

void take_mount(std::uint64_t event, std::uint64_t mount_id, MountChanges& changes) {
  if ((event & kFanMntDetach) != 0)
    changes.gone.push_back(mount_id);
  if ((event & kFanMntAttach) == 0)
    return;
  if (auto point = mount_point_of(mount_id))
    changes.paths.push_back(*std::move(point));
  else
    changes.lost |= point.error().number() != ENOENT;
}

}  // namespace

Result<UniqueFd> open_mount_events() {
  if (!may_ask_for_mount_points())
    return Error::from_errno("statmount", EPERM);
  UniqueFd group = UniqueFd::adopt(static_cast<int>(
      ::syscall(SYS_fanotify_init, kFanReportMnt | FAN_CLOEXEC | FAN_NONBLOCK, 0U)));
  if (!group)
    return Error::from_errno("fanotify_init");
  const UniqueFd mounts = UniqueFd::adopt(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!mounts)
    return Error::from_errno("/proc/self/ns/mnt");
  if (::syscall(SYS_fanotify_mark, group.get(), FAN_MARK_ADD | kFanMarkMntns,
                kFanMntAttach | kFanMntDetach, mounts.get(), nullptr) != 0)
    return Error::from_errno("fanotify_mark");
  return group;
}

void parse_mount_events(const void* events, std::size_t size, MountChanges& changes) {
  const auto* at = static_cast<const char*>(events);
  const char* end = at + size;
  fanotify_event_metadata event{};
  while (static_cast<std::size_t>(end - at) >= sizeof event) {
    std::memcpy(&event, at, sizeof event);
    if (event.event_len < sizeof event || event.event_len > static_cast<std::size_t>(end - at))
      break;
    MountInfo info{};
    if (event.event_len >= event.metadata_len + sizeof info)
      std::memcpy(&info, at + event.metadata_len, sizeof info);
    if (info.header.info_type == kInfoTypeMount)
      take_mount(event.mask, info.mount_id, changes);
    else
      changes.lost = true;  // FAN_Q_OVERFLOW, which names no mount
    at += event.event_len;
  }
}

}  // namespace nsrelay
