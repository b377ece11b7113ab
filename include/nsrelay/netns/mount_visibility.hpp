#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nsrelay {

/// Whether names that others mount under a folder are seen in the mount namespace of this process.
enum class MountVisibility : std::uint8_t {
  Shared,  ///< it is the folder that others use, or one that passes mounts both ways
  Slave,   ///< mounts of others arrive here (systemd's sandboxing, `ip netns exec`)
  Private  ///< they do not
};

/// How the mount that holds `folder` propagates, from the text of /proc/self/mountinfo (proc(5),
/// mount_namespaces(7)). The mount with the longest path that is a prefix of the folder counts.
MountVisibility mount_visibility(std::string_view mountinfo, const std::string& folder);

}  // namespace nsrelay
