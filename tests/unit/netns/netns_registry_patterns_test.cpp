#include <gmock/gmock.h>

#include "followed_netns.hpp"
#include "nsrelay/netns/netns_registry.hpp"

namespace nsrelay {
namespace {

using Kind = NetnsSelector::Kind;
using testing::ElementsAre;
using testing::IsEmpty;

class NetnsRegistryPatternsTest : public test::FollowedNetns {
 protected:
  /// The names behind `glob` in the test's folder.
  std::vector<std::string> names(const std::string& glob) {
    std::vector<std::string> names;
    for (const NetnsRef& entry : registry_.find({Kind::PathPattern, path(glob)}))
      names.push_back(entry->name);
    return names;
  }

  NetnsRef get(const std::string& name) { return registry_.get({Kind::Path, path(name)}); }

  /// Looks at everything in slices; how many it took, or 0 where it did not come to an end.
  int slices_of(std::size_t most) {
    registry_.suspect_everything();
    for (int slices = 1; slices <= 1000; ++slices)
      if (!registry_.look(most))
        return slices;
    return 0;
  }

  NetnsRegistry registry_;
};

TEST_F(NetnsRegistryPatternsTest, MatchesWhatIsThereInTheOrderOfNames) {
  for (const char* name : {"tenant-b", "tenant-a", "other", ".tenant-hidden"})
    bind("/proc/self/ns/net", name);
  EXPECT_THAT(names("tenant-*"), ElementsAre("tenant-a", "tenant-b"));
  EXPECT_THAT(names("*"), ElementsAre("other", "tenant-a", "tenant-b"));
  EXPECT_THAT(names("tenant-[b-z]"), ElementsAre("tenant-b"));
  EXPECT_THAT(names("tenant-?"), ElementsAre("tenant-a", "tenant-b"));
  EXPECT_THAT(names("nobody-*"), IsEmpty());
}

TEST_F(NetnsRegistryPatternsTest, LeavesOutWhatIsNoNamespace) {
  touch("plain");
  std::filesystem::create_directory(path("folder"));
  std::filesystem::create_symlink("/nowhere", path("dangling"));
  std::filesystem::create_symlink("/proc/self/ns/mnt", path("mounts"));
  EXPECT_THAT(names("*"), IsEmpty());
}

TEST_F(NetnsRegistryPatternsTest, FollowsNamesThatComeAndGo) {
  EXPECT_THAT(names("*"), IsEmpty());
  EXPECT_FALSE(registry_.refresh());
  bind("/proc/self/ns/net", "a");
  EXPECT_TRUE(registry_.refresh());
  EXPECT_THAT(names("*"), ElementsAre("a"));
  EXPECT_FALSE(registry_.refresh());
  unmount("a");
  EXPECT_TRUE(registry_.refresh());
  EXPECT_THAT(names("*"), IsEmpty());
}

TEST_F(NetnsRegistryPatternsTest, AFolderThatIsAbsentAtFirst) {
  const NetnsSelector selector{Kind::PathPattern, path("later/*")};
  EXPECT_THAT(registry_.find(selector), IsEmpty());
  std::filesystem::create_directory(path("later"));
  std::filesystem::create_symlink("/proc/self/ns/net", path("later/a"));
  EXPECT_TRUE(registry_.refresh());
  EXPECT_EQ(registry_.find(selector).size(), 1U);
}

TEST_F(NetnsRegistryPatternsTest, AFolderWithinTheFolderIsNotMeant) {
  std::filesystem::create_directory(path("below"));
  std::filesystem::create_symlink("/proc/self/ns/net", path("below/a"));
  EXPECT_THAT(registry_.find({Kind::PathPattern, path("below/*")}), testing::SizeIs(1));
  EXPECT_THAT(names("*"), IsEmpty());
}

TEST_F(NetnsRegistryPatternsTest, ANameAndAPatternShareOneEntry) {
  bind("/proc/self/ns/net", "a");
  EXPECT_EQ(registry_.find({Kind::PathPattern, path("*")}).front(), get("a"));
}

TEST_F(NetnsRegistryPatternsTest, ANameStaysWhileAbsentAMatchDoesNot) {
  bind("/proc/self/ns/net", "a");
  bind("/proc/self/ns/net", "b");
  const NetnsRef by_name = get("a");
  const NetnsRef matched = registry_.find({Kind::PathPattern, path("b*")}).front();
  remove("a");
  remove("b");
  EXPECT_TRUE(registry_.refresh());
  EXPECT_FALSE(by_name->netns);
  EXPECT_FALSE(matched->netns);  // who still holds it sees it absent
  bind("/proc/self/ns/net", "a");
  bind("/proc/self/ns/net", "b");
  EXPECT_TRUE(registry_.refresh());
  EXPECT_EQ(get("a"), by_name);
  EXPECT_TRUE(by_name->netns);
  EXPECT_EQ(names("b*").size(), 1U);
}

TEST_F(NetnsRegistryPatternsTest, ANameThatMeansAnotherNamespace) {
  const auto first = make_netns("a");
  const auto second = make_netns("b");
  bind(path_of(*first), "x");
  const NetnsRef entry = get("x");
  EXPECT_TRUE(entry->is(first->netns().cookie()));
  remove("x");
  bind(path_of(*second), "x");
  EXPECT_TRUE(registry_.refresh());
  EXPECT_TRUE(entry->is(second->netns().cookie()));
}

TEST_F(NetnsRegistryPatternsTest, TheSameNamespaceMountedAgainIsNoChange) {
  const auto netns = make_netns("a");
  bind(path_of(*netns), "x");
  get("x");
  remove("x");
  bind(path_of(*netns), "x");
  EXPECT_FALSE(registry_.refresh());
}

TEST_F(NetnsRegistryPatternsTest, HoldsNoDescriptorOfWhatNobodyEnters) {
  for (int i = 0; i < 20; ++i)
    bind("/proc/self/ns/net", "a" + std::to_string(i));
  const auto count = [] {
    const std::filesystem::directory_iterator descriptors("/proc/self/fd");
    return std::distance(begin(descriptors), end(descriptors));
  };
  const auto before = count();
  EXPECT_EQ(names("*").size(), 20U);
  EXPECT_EQ(count(), before);
}

TEST_F(NetnsRegistryPatternsTest, ManyAreTakenInSlices) {
  EXPECT_THAT(names("*"), IsEmpty());
  for (int i = 0; i < 25; ++i) {
    bind("/proc/self/ns/net", "a" + std::to_string(i));
    registry_.suspect(path("a" + std::to_string(i)));
  }
  EXPECT_TRUE(registry_.look(10));
  EXPECT_EQ(names("*").size(), 10U);
  EXPECT_TRUE(registry_.look(10));
  EXPECT_FALSE(registry_.look(10));
  EXPECT_EQ(names("*").size(), 25U);
}

TEST_F(NetnsRegistryPatternsTest, SlicesComeToAnEndWhereNoStampIsCertain) {
  EXPECT_THAT(names("*"), IsEmpty());
  for (int i = 0; i < 25; ++i)
    std::filesystem::create_symlink("/proc/self/ns/net", path("a" + std::to_string(i)));
  for (int times = 0; times < 2; ++times) {  // the folder is listed first
    EXPECT_GE(slices_of(10), 6);
    EXPECT_LE(slices_of(10), 8);
    EXPECT_EQ(names("*").size(), 25U);
  }
}

TEST_F(NetnsRegistryPatternsTest, ARoundFindsWhatComesAndGoesMeanwhile) {
  for (int i = 10; i < 30; ++i)
    bind("/proc/self/ns/net", "a" + std::to_string(i));
  EXPECT_EQ(names("*").size(), 20U);
  registry_.suspect_everything();
  EXPECT_TRUE(registry_.look(30));
  bind("/proc/self/ns/net", "a0");
  remove("a10");
  registry_.suspect_everything();  // nobody says which
  EXPECT_FALSE(registry_.look(SIZE_MAX));
  EXPECT_EQ(names("a0").size(), 1U);
  EXPECT_THAT(names("a10"), IsEmpty());
}

TEST_F(NetnsRegistryPatternsTest, AMountThatIsGoneIsKnownByItsId) {
  const auto netns = make_netns("a");
  bind(path_of(*netns), "a");
  ASSERT_THAT(names("*"), ElementsAre("a"));
  const auto stamp = stamp_of(path("a"));
  if (!stamp->is_certain())
    GTEST_SKIP() << "NOT TESTED: this kernel has no unique mount ids";
  unmount("a");
  registry_.suspect_mount(stamp->mount_id + 1);
  registry_.look(SIZE_MAX);
  EXPECT_THAT(names("*"), ElementsAre("a"));
  registry_.suspect_mount(stamp->mount_id);
  registry_.look(SIZE_MAX);
  EXPECT_THAT(names("*"), IsEmpty());
}

TEST_F(NetnsRegistryPatternsTest, ALinkIsSuspectWithoutAnEventOfItsOwn) {
  const auto netns = make_netns("a");
  touch("target");
  std::filesystem::create_symlink(path("target"), path("link"));
  const NetnsRef link = get("link");
  EXPECT_FALSE(link->netns);
  bind(path_of(*netns), "target");
  registry_.suspect_links();
  registry_.look(SIZE_MAX);
  EXPECT_TRUE(link->is(netns->netns().cookie()));
}

TEST_F(NetnsRegistryPatternsTest, ALinkIsLookedAtWhenItIsFirstAskedFor) {
  std::filesystem::create_symlink("/proc/self/ns/net", path("link"));
  EXPECT_TRUE(get("link")->netns);
}

TEST_F(NetnsRegistryPatternsTest, ANamespaceIsPresentWhileSomeNameMeansIt) {
  const auto netns = make_netns("a");
  bind(path_of(*netns), "a");
  const std::string second = bind(path_of(*netns), "b");
  names("a");
  registry_.get({Kind::Path, second});
  remove("b");
  registry_.refresh();
  EXPECT_TRUE(registry_.is_present(netns->netns().cookie()));
  remove("a");
  registry_.refresh();
  EXPECT_FALSE(registry_.is_present(netns->netns().cookie()));
  EXPECT_THAT(registry_.take_changes().gone, ElementsAre(netns->netns().cookie()));
}

TEST_F(NetnsRegistryPatternsTest, FoldersAreThoseOfNamesAndPatterns) {
  registry_.get({Kind::Path, path("a")});
  registry_.find({Kind::PathPattern, path("sub/*")});
  registry_.find({Kind::NamePattern, "nsrelay-nobody-*"});
  EXPECT_THAT(registry_.folders(), ElementsAre("/run/netns", folder_, folder_ + "/sub"));
}

}  // namespace
}  // namespace nsrelay
