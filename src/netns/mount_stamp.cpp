#include "nsrelay/netns/mount_stamp.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace nsrelay {
namespace {

// linux/stat.h, newer than Debian 12's.
constexpr unsigned kStatxMountIdUnique = 0x4000;

}  // namespace

std::optional<MountStamp> stamp_of(const std::string& path) {
  struct statx info {};
  if (::statx(AT_FDCWD, path.c_str(), 0, kStatxMountIdUnique, &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR)
      return std::nullopt;
    return MountStamp{};  // out of something: opening it will tell
  }
  const bool is_mount = (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  const bool is_unique = (info.stx_mask & kStatxMountIdUnique) != 0;
  return MountStamp{is_mount && is_unique ? info.stx_mnt_id : 0};
}

bool is_symbolic_link(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
}

}  // namespace nsrelay
