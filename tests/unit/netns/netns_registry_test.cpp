#include "nsrelay/netns/netns_registry.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
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
  EXPECT_FALSE(registry.refresh().changed);
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
  EXPECT_FALSE(registry.refresh().changed);
}

TEST(NetnsRegistry, PresentCookiesHasTheOwnNamespaceAlways) {
  const NetnsRegistry registry;
  EXPECT_THAT(registry.present_cookies(), testing::ElementsAre(home_netns().cookie()));
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
  EXPECT_FALSE(registry.refresh().changed);
  child.end();
  EXPECT_TRUE(registry.refresh().changed);
  EXPECT_FALSE(entry.netns);
  EXPECT_THAT(entry.why_absent, HasSubstr("the process has ended"));
  EXPECT_FALSE(registry.refresh().changed);
}

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
  EXPECT_TRUE(registry_.refresh().changed);
  EXPECT_TRUE(entry.is(made->netns().cookie()));
  EXPECT_EQ(entry.why_absent, "");
  EXPECT_THAT(registry_.present_cookies(), testing::Contains(made->netns().cookie()));
  EXPECT_FALSE(registry_.refresh().changed);
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
  EXPECT_TRUE(registry_.refresh().changed);
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
  EXPECT_TRUE(registry_.refresh().changed);
  EXPECT_FALSE(entry.netns);
  EXPECT_THAT(entry.why_absent, HasSubstr("No such file or directory"));
  EXPECT_THAT(registry_.present_cookies(), testing::Not(testing::Contains(cookie)));
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

TEST_F(NetnsRegistryAsRoot, BeingOutOfDescriptorsIsNotBeingGone) {
  const auto made = make_netns("kept");
  ASSERT_TRUE(made);
  const NetnsRef entry_ref = registry_.get(named("kept"));
  const NetnsEntry& entry = *entry_ref;
  {
    const test::FewDescriptors limit(0);
    EXPECT_FALSE(registry_.refresh().changed);
    EXPECT_TRUE(entry.is(made->netns().cookie()));
  }
  EXPECT_FALSE(registry_.refresh().changed);
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
