#include "nsrelay/netns/netns.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "nsrelay/base/scope_exit.hpp"
#include "nsrelay/netns/netns_scope.hpp"
#include "support/failing_system_call.hpp"
#include "support/netns_test.hpp"

namespace nsrelay {
namespace {

using test::make_netns;
using testing::HasSubstr;

/// SO_NETNS_COOKIE of a socket (socket(7)).
std::uint64_t cookie_of(const UniqueFd& socket) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  EXPECT_EQ(::getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size), 0);
  return cookie;
}

/// The cookie that a socket made inside `netns` tells.
std::uint64_t cookie_inside(const Netns& netns) {
  auto socket = make_socket_in(netns, AF_INET, SOCK_STREAM, 0);
  EXPECT_TRUE(socket) << socket.error().message();
  return socket ? cookie_of(*socket) : 0;
}

/// A child that is in a network namespace of its own until this is destroyed.
class ChildElsewhere {
 public:
  ChildElsewhere() {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    const UniqueFd reader = UniqueFd::adopt(ends[0]);
    UniqueFd writer = UniqueFd::adopt(ends[1]);
    pid_ = ::fork();
    if (pid_ == 0) {
      const bool moved = ::unshare(CLONE_NEWNET) == 0 && ::write(writer.get(), "x", 1) == 1;
      while (moved)
        ::pause();
      ::_exit(1);
    }
    writer.close();
    char byte;
    EXPECT_EQ(::read(reader.get(), &byte, 1), 1) << "the child could not unshare";
  }
  ChildElsewhere(const ChildElsewhere&) = delete;
  ChildElsewhere& operator=(const ChildElsewhere&) = delete;
  ~ChildElsewhere() { end(); }

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

TEST(Netns, CurrentIsWhereOurSocketsAre) {
  const auto netns = Netns::current();
  ASSERT_TRUE(netns);
  EXPECT_EQ(netns->cookie(),
            cookie_of(UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))));
}

TEST(Netns, OfAnAbsentFileIsEnoent) {
  const auto netns = Netns::open("/run/netns/nsrelay-unit-nosuch");
  ASSERT_FALSE(netns);
  EXPECT_EQ(netns.error().number(), ENOENT);
  EXPECT_EQ(netns.error().message(), "/run/netns/nsrelay-unit-nosuch: No such file or directory");
}

TEST(Netns, OfAPlainFileSaysWhatItIs) {
  const std::string path = testing::TempDir() + test::netns_name("plain");
  std::ofstream(path) << "";
  const auto netns = Netns::open(path);
  ::unlink(path.c_str());
  ASSERT_FALSE(netns);
  EXPECT_EQ(netns.error().message(), path + ": not a namespace file");
}

TEST(Netns, OfANamespaceOfAnotherKindSaysSo) {
  const auto netns = Netns::open("/proc/self/ns/mnt");
  ASSERT_FALSE(netns);
  EXPECT_EQ(netns.error().message(), "/proc/self/ns/mnt: a namespace, but not a network namespace");
}

TEST(Netns, OfNoProcessIsEsrch) {
  const pid_t child = ::fork();
  if (child == 0)
    ::_exit(0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  const auto netns = Netns::of_process(child);
  ASSERT_FALSE(netns);
  EXPECT_EQ(netns.error().number(), ESRCH);
}

class NetnsAsRoot : public testing::Test {
 protected:
  void SetUp() override { NSRELAY_NEEDS_ROOT(); }
};

TEST_F(NetnsAsRoot, CookieIsThatOfASocketInside) {
  const auto made = make_netns("a");
  ASSERT_TRUE(made);
  EXPECT_EQ(made->netns().cookie(), cookie_inside(made->netns()));
  EXPECT_NE(made->netns().cookie(), home_netns().cookie());
}

TEST_F(NetnsAsRoot, CookieIsFoundAlsoOnAKernelThatDoesNotTellItFromOutside) {
  const auto made = make_netns("a");
  ASSERT_TRUE(made);
  const std::uint64_t expected = cookie_inside(made->netns());
  const std::string path = test::netns_path("a");
  constexpr auto kNsGetId = static_cast<unsigned>(_IOR(0xb7, 13, std::uint64_t));
  test::with_failing_system_call({SYS_ioctl, ENOTTY, kNsGetId}, [&] {
    const auto netns = Netns::open(path);
    ASSERT_TRUE(netns) << netns.error().message();
    EXPECT_EQ(netns->cookie(), expected);
  });
}

TEST_F(NetnsAsRoot, ANameMadeAgainIsAnotherNamespace) {
  const auto first = make_netns("again");
  ASSERT_TRUE(first);
  const std::uint64_t cookie = first->netns().cookie();
  first->remove();
  EXPECT_EQ(Netns::open(test::netns_path("again")).error().number(), ENOENT);
  const auto second = make_netns("again");
  ASSERT_TRUE(second);
  EXPECT_NE(second->netns().cookie(), cookie);
}

TEST_F(NetnsAsRoot, OfAFileIsAliveAfterItsNameIsGone) {
  const auto made = make_netns("held");
  ASSERT_TRUE(made);
  const auto held = Netns::open(test::netns_path("held"));
  ASSERT_TRUE(held);
  made->remove();
  EXPECT_EQ(cookie_inside(*held), held->cookie());
}

TEST_F(NetnsAsRoot, OfAProcessIsWhereThatProcessIs) {
  const ChildElsewhere child;
  const auto netns = Netns::of_process(child.pid());
  ASSERT_TRUE(netns) << netns.error().message();
  EXPECT_NE(netns->cookie(), home_netns().cookie());
  EXPECT_EQ(cookie_inside(*netns), netns->cookie());
}

TEST_F(NetnsAsRoot, OfAProcessEndsWithIt) {
  ChildElsewhere child;
  const auto netns = Netns::of_process(child.pid());
  ASSERT_TRUE(netns);
  pollfd ended{*netns->fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, 0), 0);
  child.end();
  EXPECT_EQ(::poll(&ended, 1, 0), 1);
  const auto socket = make_socket_in(*netns, AF_INET, SOCK_STREAM, 0);
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().number(), ESRCH);
}

}  // namespace
}  // namespace nsrelay
