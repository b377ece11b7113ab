#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace nsrelay {

/// What a path looks like without being opened: two equal stamps that are both certain() mean the
/// same mount of the same namespace. A mount id that is never given twice exists since Linux 6.8
/// (STATX_MNT_ID_UNIQUE, statx(2)); before that, and for a file that is no mount (a link to
/// /proc/PID/ns/net), no stamp is certain.
struct MountStamp {
  std::uint64_t mount_id = 0;

  [[nodiscard]] bool is_certain() const { return mount_id != 0; }
  friend bool operator==(const MountStamp&, const MountStamp&) = default;
};

/// The stamp of `path`; nothing where there is no such file.
std::optional<MountStamp> stamp_of(const std::string& path);

/// Whether the last part of `path` is a symbolic link: a mount where it leads to is no event of
/// its own.
bool is_symbolic_link(const std::string& path);

}  // namespace nsrelay
