#include "nsrelay/netns/mount_visibility.hpp"

#include <sstream>

namespace nsrelay {
namespace {

bool holds(const std::string& mount_point, const std::string& folder) {
  if (mount_point == "/" || mount_point == folder)
    return true;
  return folder.starts_with(mount_point + "/");
}

}  // namespace

MountVisibility mount_visibility(std::string_view mountinfo, const std::string& folder) {
  std::istringstream lines{std::string(mountinfo)};
  std::size_t longest = 0;
  MountVisibility found = MountVisibility::Private;
  for (std::string line; std::getline(lines, line);) {
    // 36 35 98:0 /root /mount/point options shared:7 master:1 - type source options
    std::istringstream fields(line);
    std::string id, parent, device, root, mount_point, options, field;
    fields >> id >> parent >> device >> root >> mount_point >> options;
    if (!holds(mount_point, folder) || mount_point.size() < longest)
      continue;
    longest = mount_point.size();
    found = MountVisibility::Private;
    while (fields >> field && field != "-") {
      if (field.starts_with("shared:"))
        found = MountVisibility::Shared;
      else if (field.starts_with("master:") && found != MountVisibility::Shared)
        found = MountVisibility::Slave;
    }
  }
  return found;
}

}  // namespace nsrelay
