#include "nsrelay/netns/netns_registry.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "nsrelay/netns/netns_scope.hpp"
#include "support/netns_test.hpp"
#include "support/system_limits.hpp"

namespace nsrelay {
namespace {

using test::make_netns;
using test::named;
using testing::HasSubstr;

NetnsSelector by_path(const std::string& path) {
  return {NetnsSelector::Kind::Path, path};
}

NetnsSelector by_pid(pid_t pid) {
  return {NetnsSelector::Kind::Pid, "pid:" + std::to_string(pid), pid};
}

/// A child that waits to be ended.
class Child {
 public:
  Child() : pid_(::fork()) {
    while (pid_ == 0)
      ::pause();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }

  void end() {
    if (pid_ <= 0)
      return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

TEST(NetnsDisplayName, IsWhatTheSpecificationCallsIt) {
  EXPECT_EQ(netns_display_name({}), "default");
  EXPECT_EQ(netns_display_name({NetnsSelector::Kind::Name, "ns1"}), "ns1");
  EXPECT_EQ(netns_display_name(by_path("/var/run/docker/netns/abc")), "abc");
  EXPECT_EQ(netns_display_name(by_pid(42)), "pid:42");
}

TEST(NetnsRegistry, DefaultIsHomeAndNeverChanges) {
  NetnsRegistry registry;
  const NetnsRef entry_ref = registry.get({});
  const NetnsEntry& entry = *entry_ref;
  EXPECT_EQ(entry.name, "default");
  EXPECT_TRUE(entry.is(home_netns().cookie()));
  EXPECT_FALSE(registry.refresh());
  EXPECT_TRUE(entry.is(home_netns().cookie()));
}

TEST(NetnsRegistry, AnAbsentNameSaysWhyAndIsNobody) {
  NetnsRegistry registry;
  const NetnsRef entry_ref = registry.get(named("nosuch"));
  const NetnsEntry& entry = *entry_ref;
  EXPECT_FALSE(entry.netns);
  EXPECT_EQ(entry.name, test::netns_name("nosuch"));
  EXPECT_THAT(entry.why_absent, HasSubstr("No such file or directory"));
  EXPECT_FALSE(entry.is(0));
  EXPECT_FALSE(registry.refresh());
}

TEST(NetnsRegistry, TheOwnNamespaceIsPresentAlways) {
  const NetnsRegistry registry;
  EXPECT_TRUE(registry.is_present(home_netns().cookie()));
  EXPECT_FALSE(registry.is_present(0));
}

TEST(NetnsRegistry, OneSelectorHasOneEntry) {
  NetnsRegistry registry;
  const NetnsRef first_ref = registry.get(named("nosuch"));
  const NetnsEntry& first = *first_ref;
  EXPECT_EQ(registry.get(named("nosuch")).get(), &first);
  EXPECT_NE(registry.get({}).get(), &first);
}

TEST(NetnsRegistry, AProcessIsPresentUntilItEnds) {
  NetnsRegistry registry;
  Child child;
  const NetnsRef entry_ref = registry.get(by_pid(child.pid()));
  const NetnsEntry& entry = *entry_ref;
  EXPECT_TRUE(entry.is(home_netns().cookie()));
  EXPECT_FALSE(registry.refresh());
  child.end();
  EXPECT_TRUE(registry.refresh());
  EXPECT_FALSE(entry.netns);
  EXPECT_THAT(entry.why_absent, HasSubstr("the process has ended"));
  EXPECT_FALSE(registry.refresh());
}

/// A child that is in a namespace of its own as soon as it is told, or in the next one.
class MovingChild {
 public:
  MovingChild() {
    EXPECT_EQ(::pipe2(told_, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(moved_, O_CLOEXEC), 0);
    pid_ = ::fork();
    char byte = 0;
    while (pid_ == 0 && ::read(told_[0], &byte, 1) == 1) {
      byte = ::unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
      (void)!::write(moved_[1], &byte, 1);
    }
  }
  MovingChild(const MovingChild&) = delete;
  MovingChild& operator=(const MovingChild&) = delete;
  ~MovingChild() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    for (const int fd : {told_[0], told_[1], moved_[0], moved_[1]})
      ::close(fd);
  }

  [[nodiscard]] bool move() const {
    char byte = 'x';
    return ::write(told_[1], &byte, 1) == 1 && ::read(moved_[0], &byte, 1) == 1 && byte == 'y';
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  int told_[2] = {-1, -1};
  int moved_[2] = {-1, -1};
  pid_t pid_ = -1;
};

class NetnsRegistryAsRoot : public testing::Test {
 protected:
  void SetUp() override { NSRELAY_NEEDS_ROOT(); }

  NetnsRegistry registry_;
};

TEST_F(NetnsRegistryAsRoot, ANameThatAppearsIsThereAfterRefreshInTheSameEntry) {
  const NetnsRef entry_ref = registry_.get(named("late"));
  const NetnsEntry& entry = *entry_ref;
  EXPECT_FALSE(entry.netns);
  const auto made = make_netns("late");
  ASSERT_TRUE(made);
  EXPECT_TRUE(registry_.refresh());
  EXPECT_TRUE(entry.is(made->netns().cookie()));
  EXPECT_EQ(entry.why_absent, "");
  EXPECT_TRUE(registry_.is_present(made->netns().cookie()));
  EXPECT_FALSE(registry_.refresh());
}

TEST_F(NetnsRegistryAsRoot, ANameMadeAgainMeansTheNewNamespace) {
  auto made = make_netns("again");
  ASSERT_TRUE(made);
  const std::uint64_t former = made->netns().cookie();
  const NetnsRef entry_ref = registry_.get(named("again"));
  const NetnsEntry& entry = *entry_ref;
  ASSERT_TRUE(entry.is(former));
  made->remove();
  made = make_netns("again");
  ASSERT_TRUE(made);
  EXPECT_TRUE(registry_.refresh());
  EXPECT_TRUE(entry.is(made->netns().cookie()));
  EXPECT_FALSE(entry.is(former));
}

TEST_F(NetnsRegistryAsRoot, ANameThatIsGoneLetsGoOfItsNamespace) {
  const auto made = make_netns("gone");
  ASSERT_TRUE(made);
  const std::uint64_t cookie = made->netns().cookie();
  const NetnsRef entry_ref = registry_.get(named("gone"));
  const NetnsEntry& entry = *entry_ref;
  made->remove();
  EXPECT_TRUE(registry_.refresh());
  EXPECT_FALSE(entry.netns);
  EXPECT_THAT(entry.why_absent, HasSubstr("No such file or directory"));
  EXPECT_FALSE(registry_.is_present(cookie));
}

TEST_F(NetnsRegistryAsRoot, APlainFileInItsPlaceIsNoNamespaceYet) {
  const std::string path = test::netns_path("plain");
  UniqueFd::adopt(::open(path.c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0));
  const NetnsRef entry_ref = registry_.get(named("plain"));
  const NetnsEntry& entry = *entry_ref;
  ::unlink(path.c_str());
  EXPECT_FALSE(entry.netns);
  EXPECT_THAT(entry.why_absent, HasSubstr("not a namespace file"));
}

TEST_F(NetnsRegistryAsRoot, AProcessThatMovesMeansItsNewNamespace) {
  const MovingChild child;
  const NetnsRef entry = registry_.get(by_pid(child.pid()));
  ASSERT_TRUE(entry->is(home_netns().cookie()));
  for (int times = 0; times < 2; ++times) {
    const Netns former = std::move(*Netns::of_process(child.pid()));
    ASSERT_TRUE(child.move());
    EXPECT_EQ(former.fd().error().number(), ESTALE);  // nobody enters the wrong one meanwhile
    EXPECT_TRUE(registry_.refresh());
    EXPECT_FALSE(entry->is(former.cookie()));
    EXPECT_TRUE(entry->is(Netns::of_process(child.pid())->cookie()));
    EXPECT_EQ(registry_.is_present(former.cookie()), times == 0);  // then it was the own one
  }
}

TEST_F(NetnsRegistryAsRoot, OnlyWhatIsSuspectIsLookedAt) {
  const NetnsRef one = registry_.get(named("one"));
  const NetnsRef two = registry_.get(named("two"));
  const auto made_one = make_netns("one");
  const auto made_two = make_netns("two");
  ASSERT_TRUE(made_one && made_two);
  registry_.suspect(test::netns_path("one"));
  EXPECT_FALSE(registry_.look(SIZE_MAX));
  EXPECT_TRUE(one->netns);
  EXPECT_FALSE(two->netns);
  registry_.suspect_everything();
  EXPECT_TRUE(registry_.look(1));
  EXPECT_FALSE(registry_.look(SIZE_MAX));
  EXPECT_TRUE(two->netns);
}

TEST_F(NetnsRegistryAsRoot, ChangesAreWhatNamesMeanNowAndMeantBefore) {
  const NetnsRef entry = registry_.get(named("changing"));
  EXPECT_TRUE(registry_.take_changes().identities.empty());
  auto made = make_netns("changing");
  ASSERT_TRUE(made);
  const std::uint64_t cookie = made->netns().cookie();
  const NetnsIdentity absent{0, test::netns_path("changing")};
  const NetnsIdentity present{cookie, ""};
  registry_.refresh();
  NetnsChanges changes = registry_.take_changes();
  EXPECT_THAT(changes.identities, testing::UnorderedElementsAre(absent, present));
  EXPECT_THAT(changes.gone, testing::IsEmpty());
  EXPECT_THAT(registry_.entries_of({present}), testing::ElementsAre(entry));
  EXPECT_THAT(registry_.entries_of({absent}), testing::IsEmpty());
  made->remove();
  registry_.refresh();
  changes = registry_.take_changes();
  EXPECT_THAT(changes.identities, testing::UnorderedElementsAre(absent, present));
  EXPECT_THAT(changes.gone, testing::ElementsAre(cookie));
  EXPECT_THAT(registry_.entries_of({absent}), testing::ElementsAre(entry));
  EXPECT_TRUE(registry_.take_changes().identities.empty());
}

TEST_F(NetnsRegistryAsRoot, BeingOutOfDescriptorsIsNotBeingGone) {
  const auto made = make_netns("kept");
  ASSERT_TRUE(made);
  const NetnsRef entry_ref = registry_.get(named("kept"));
  const NetnsEntry& entry = *entry_ref;
  {
    const test::FewDescriptors limit(0);
    EXPECT_FALSE(registry_.refresh());
    EXPECT_TRUE(entry.is(made->netns().cookie()));
  }
  EXPECT_FALSE(registry_.refresh());
}

TEST_F(NetnsRegistryAsRoot, APathMeansTheSameNamespaceAsItsName) {
  const auto made = make_netns("two-ways");
  ASSERT_TRUE(made);
  const NetnsRef name_ref = registry_.get(named("two-ways"));
  const NetnsEntry& name = *name_ref;
  const NetnsRef path_ref = registry_.get(by_path(test::netns_path("two-ways")));
  const NetnsEntry& path = *path_ref;
  EXPECT_EQ(&name, &path);
  EXPECT_EQ(name.name, path.name);
  EXPECT_TRUE(path.is(name.netns->cookie()));
}

}  // namespace
}  // namespace nsrelay
