#include "nsrelay/netns/netns_scope.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/socket.h>

#include <stdexcept>

#include "support/failing_system_call.hpp"
#include "support/netns_test.hpp"
#include "support/system_limits.hpp"

namespace nsrelay {
namespace {

/// Where the calling thread is now.
std::uint64_t where() {
  auto netns = Netns::current();
  EXPECT_TRUE(netns);
  return netns ? netns->cookie() : 0;
}

class NetnsScopeTest : public testing::Test {
 protected:
  void SetUp() override {
    NSRELAY_NEEDS_ROOT();
    made_ = test::make_netns("scope");
    ASSERT_TRUE(made_);
  }

  [[nodiscard]] const Netns& there() const { return made_->netns(); }

  std::uint64_t home_ = where();
  std::unique_ptr<ThrowawayNetns> made_;
};

TEST_F(NetnsScopeTest, IsThereWhileItLivesAndAtHomeAfterwards) {
  {
    const auto scope = NetnsScope::enter(there());
    ASSERT_TRUE(scope);
    EXPECT_EQ(where(), there().cookie());
  }
  EXPECT_EQ(where(), home_);
}

TEST_F(NetnsScopeTest, GoesHomeOnceWhenItWasMoved) {
  {
    auto scope = NetnsScope::enter(there());
    ASSERT_TRUE(scope);
    {
      const NetnsScope moved = *std::move(scope);
      EXPECT_EQ(where(), there().cookie());
    }
    EXPECT_EQ(where(), home_);
    EXPECT_TRUE(NetnsScope::enter(there()));  // the lock is free again
  }
  EXPECT_EQ(where(), home_);
}

TEST_F(NetnsScopeTest, GoesHomeWhenItIsLeftByAnException) {
  EXPECT_THROW(
      {
        const auto scope = NetnsScope::enter(there());
        throw std::runtime_error("out of here");
      },
      std::runtime_error);
  EXPECT_EQ(where(), home_);
}

TEST_F(NetnsScopeTest, GoesHomeOnAnEarlyReturn) {
  const auto leave_early = [&](bool early) {
    const auto scope = NetnsScope::enter(there());
    if (early)
      return where();
    return std::uint64_t{0};
  };
  EXPECT_EQ(leave_early(true), there().cookie());
  EXPECT_EQ(where(), home_);
}

TEST_F(NetnsScopeTest, ThatCannotBeEnteredHasNotMovedAndFreesTheLock) {
  test::with_failing_system_call({SYS_setns, EPERM}, [&] {
    const auto scope = NetnsScope::enter(there());
    ASSERT_FALSE(scope);
    EXPECT_EQ(scope.error().number(), EPERM);
    EXPECT_EQ(scope.error().message(), "setns: Operation not permitted");
    EXPECT_EQ(where(), home_);
  });
  EXPECT_TRUE(NetnsScope::enter(there()));
}

using NetnsScopeDeathTest = NetnsScopeTest;

TEST_F(NetnsScopeDeathTest, AbortsRatherThanServeTheWrongNamespace) {
  EXPECT_EXIT(
      {
        const auto scope = NetnsScope::enter(there());
        test::fail_system_call({SYS_setns, EPERM});
      },
      testing::KilledBySignal(SIGABRT),
      "cannot return to the own network namespace, aborting: setns: Operation not permitted");
}

TEST(HomeDeathTest, IsFoundAlsoWhenThereWasNoDescriptorAtFirst) {
  NSRELAY_NEEDS_ROOT();
  // A new process: this one may have found it already.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        const Netns own = std::move(*Netns::current());
        {
          const test::FewDescriptors limit(0);
          // Fails, unless an older kernel has needed the way home for the line above.
          (void)NetnsScope::enter(own);
        }
        ::_exit(NetnsScope::enter(own) ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(NetnsScopeTest, MakeSocketInMakesItThereAndStaysHome) {
  const auto socket = make_socket_in(there(), AF_INET, SOCK_STREAM, 0);
  ASSERT_TRUE(socket);
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  ASSERT_EQ(::getsockopt(socket->get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size), 0);
  EXPECT_EQ(cookie, there().cookie());
  EXPECT_EQ(where(), home_);
  EXPECT_TRUE(::fcntl(socket->get(), F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(::fcntl(socket->get(), F_GETFD) & FD_CLOEXEC);
}

TEST_F(NetnsScopeTest, MakeSocketInReportsWhatSocketSays) {
  const auto socket = make_socket_in(there(), AF_UNIX, SOCK_STREAM, 12345);
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().number(), EPROTONOSUPPORT);
  EXPECT_EQ(where(), home_);
}

TEST_F(NetnsScopeTest, AnInterfaceHasItsNumberOfThatNamespace) {
  const auto index = interface_index_in(there(), "lo");
  ASSERT_TRUE(index);
  EXPECT_EQ(*index, 1U);  // the first that a namespace gets
  const auto absent = interface_index_in(there(), "nosuch0");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().number(), ENODEV);
  EXPECT_EQ(absent.error().message(), "interface nosuch0: No such device");
}

TEST(HomeNetns, NeedsNoPrivilege) {
  test::with_failing_system_call({SYS_setns, EPERM}, [] {
    EXPECT_EQ(home_netns().cookie(), where());
    EXPECT_TRUE(make_socket_in(home_netns(), AF_INET, SOCK_STREAM, 0));
  });
}

}  // namespace
}  // namespace nsrelay
