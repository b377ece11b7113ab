#include "nsrelay/netns/mount_stamp.hpp"

#include "followed_netns.hpp"

namespace nsrelay {
namespace {

class MountStampTest : public test::FollowedNetns {};

TEST_F(MountStampTest, IsTheSameAsLongAsTheMountIs) {
  const auto netns = make_netns("a");
  const std::string file = bind(path_of(*netns), "a");
  const auto stamp = stamp_of(file);
  ASSERT_TRUE(stamp);
  if (!stamp->is_certain())
    GTEST_SKIP() << "NOT TESTED: this kernel has no STATX_MNT_ID_UNIQUE";
  EXPECT_EQ(stamp_of(file), stamp);
}

TEST_F(MountStampTest, DiffersWhenTheSameNamespaceIsMountedAgain) {
  const auto netns = make_netns("a");
  const auto first = stamp_of(bind(path_of(*netns), "a"));
  remove("a");
  const auto second = stamp_of(bind(path_of(*netns), "a"));
  ASSERT_TRUE(first && second);
  if (!first->is_certain())
    GTEST_SKIP() << "NOT TESTED: this kernel has no STATX_MNT_ID_UNIQUE";
  EXPECT_NE(first, second);
}

TEST_F(MountStampTest, DiffersForWhatIsMountedOverIt) {
  const auto first = make_netns("a");
  const auto second = make_netns("b");
  const auto before = stamp_of(bind(path_of(*first), "a"));
  const auto over = stamp_of(bind(path_of(*second), "a"));
  unmount("a");
  if (!before->is_certain())
    GTEST_SKIP() << "NOT TESTED: this kernel has no STATX_MNT_ID_UNIQUE";
  EXPECT_NE(over, before);
  EXPECT_EQ(stamp_of(path("a")), before);
}

TEST_F(MountStampTest, OfAPlainFileIsNotCertain) {
  const auto stamp = stamp_of(touch("plain"));
  ASSERT_TRUE(stamp);
  EXPECT_FALSE(stamp->is_certain());
}

TEST_F(MountStampTest, OfALinkToAProcessIsNotCertain) {
  std::filesystem::create_symlink("/proc/self/ns/net", path("link"));
  const auto stamp = stamp_of(path("link"));
  ASSERT_TRUE(stamp);
  EXPECT_FALSE(stamp->is_certain());
}

TEST_F(MountStampTest, OfALinkToAMountIsThatOfTheMount) {
  const auto netns = make_netns("a");
  std::filesystem::create_symlink(path_of(*netns), path("link"));
  EXPECT_EQ(stamp_of(path("link")), stamp_of(path_of(*netns)));
}

TEST_F(MountStampTest, IsNothingWhereThereIsNoFile) {
  EXPECT_FALSE(stamp_of(path("absent")));
  EXPECT_FALSE(stamp_of(touch("plain") + "/below"));
  std::filesystem::create_symlink("/nowhere", path("dangling"));
  EXPECT_FALSE(stamp_of(path("dangling")));
}

TEST_F(MountStampTest, OfWhatCannotBeLookedAtIsNotCertain) {
  const auto stamp = stamp_of(path(std::string(300, 'x')));  // ENAMETOOLONG
  ASSERT_TRUE(stamp);
  EXPECT_FALSE(stamp->is_certain());
}

}  // namespace
}  // namespace nsrelay
