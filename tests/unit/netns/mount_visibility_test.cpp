#include "nsrelay/netns/mount_visibility.hpp"

#include <gtest/gtest.h>

namespace nsrelay {
namespace {

constexpr std::string_view kHost =
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "23 22 0:20 / /run rw shared:5 - tmpfs tmpfs rw\n";

TEST(MountVisibility, OfASharedMountIsShared) {
  EXPECT_EQ(mount_visibility(kHost, "/run/netns"), MountVisibility::Shared);
}

TEST(MountVisibility, IsThatOfTheMountWithTheLongestPath) {
  const std::string text = std::string(kHost) + "24 23 0:21 / /run/netns rw - tmpfs tmpfs rw\n";
  EXPECT_EQ(mount_visibility(text, "/run/netns"), MountVisibility::Private);
  EXPECT_EQ(mount_visibility(text, "/run/netns2"), MountVisibility::Shared);
}

TEST(MountVisibility, OfASlaveIsSlave) {
  EXPECT_EQ(mount_visibility("1 1 0:1 / / rw master:1 - ext4 a rw\n", "/run/netns"),
            MountVisibility::Slave);
  EXPECT_EQ(mount_visibility("1 1 0:1 / / rw shared:2 master:1 - ext4 a rw\n", "/run/netns"),
            MountVisibility::Shared);
}

TEST(MountVisibility, WordsBehindTheDashDoNotCount) {
  EXPECT_EQ(mount_visibility("1 1 0:1 / / rw - ext4 shared:1 rw\n", "/run/netns"),
            MountVisibility::Private);
}

}  // namespace
}  // namespace nsrelay
