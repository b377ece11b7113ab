#include "nsrelay/netns/route_monitor.hpp"

#include <linux/capability.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <set>
#include <thread>

#include "followed_netns.hpp"
#include "nsrelay/netns/netns_scope.hpp"

namespace nsrelay {
namespace {

/// Gives `lo` of `netns` one more address, 10.50.`last`.1.
void add_address(const Netns& netns, int last) {
  const UniqueFd socket = *make_socket_in(netns, AF_INET, SOCK_DGRAM, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, ("lo:" + std::to_string(last)).c_str());
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(0x0a320001U + (static_cast<unsigned>(last) << 8U));
  std::memcpy(&request.ifr_addr, &address, sizeof address);
  EXPECT_EQ(::ioctl(socket.get(), SIOCSIFADDR, &request), 0);
}

/// Gives up `capability` for the calling thread alone.
void give_up(unsigned capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  EXPECT_EQ(::syscall(SYS_capget, &header, data), 0);
  data[capability / 32].effective &= ~(1U << (capability % 32));
  EXPECT_EQ(::syscall(SYS_capset, &header, data), 0);
}

/// Collects what it is told.
struct Heard {
  void take(std::uint64_t cookie) noexcept {
    ++calls;
    cookies.insert(cookie);
  }
  RouteMonitor::Callback delegate() { return RouteMonitor::Callback::to<&Heard::take>(this); }

  int calls = 0;
  std::set<std::uint64_t> cookies;
};

class RouteMonitorTest : public test::FollowedNetns {
 protected:
  void SetUp() override {
    FollowedNetns::SetUp();
    if (IsSkipped())
      return;
    auto made = RouteMonitor::create(*loop_, appeared_.delegate());
    ASSERT_TRUE(made) << made.error().message();
    monitor_ = *std::move(made);
    a_ = make_netns("a");
    b_ = make_netns("b");
  }

  [[nodiscard]] bool hears() {
    const bool heard = run_until([&] { return appeared_.calls > 0; });
    settle();
    appeared_.calls = 0;
    return heard;
  }

  Heard appeared_;
  std::unique_ptr<RouteMonitor> monitor_;
  std::unique_ptr<ThrowawayNetns> a_;
  std::unique_ptr<ThrowawayNetns> b_;
};

TEST_F(RouteMonitorTest, HearsAnAddressInANamespaceThatWasIncluded) {
  ASSERT_TRUE(monitor_->include(a_->netns()));
  add_address(a_->netns(), 1);
  EXPECT_TRUE(hears());
}

TEST_F(RouteMonitorTest, SaysWhichNamespaceItWas) {
  ASSERT_TRUE(monitor_->include(a_->netns()));
  ASSERT_TRUE(monitor_->include(b_->netns()));
  add_address(b_->netns(), 1);
  EXPECT_TRUE(run_until([&] { return appeared_.cookies.contains(b_->netns().cookie()); }));
  EXPECT_FALSE(appeared_.cookies.contains(a_->netns().cookie()));
}

TEST_F(RouteMonitorTest, HearsSeveralNamespaces) {
  ASSERT_TRUE(monitor_->include(a_->netns()));
  ASSERT_TRUE(monitor_->include(b_->netns()));
  add_address(a_->netns(), 1);
  EXPECT_TRUE(hears());
  add_address(b_->netns(), 1);
  EXPECT_TRUE(hears());
}

TEST_F(RouteMonitorTest, DoesNotHearOneThatWasNot) {
  // From a namespace of its own, where nobody else makes links.
  std::thread([&] {
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    Heard appeared;
    auto monitor = RouteMonitor::create(*loop_, appeared.delegate());
    ASSERT_TRUE(monitor);
    ASSERT_TRUE((*monitor)->include(a_->netns()));
    settle();
    appeared.calls = 0;
    add_address(b_->netns(), 1);
    settle();
    EXPECT_EQ(appeared.calls, 0);
    add_address(a_->netns(), 1);
    EXPECT_TRUE(run_until([&] { return appeared.calls > 0; }));
  }).join();
}

TEST_F(RouteMonitorTest, IncludingTwiceDoesNothing) {
  ASSERT_TRUE(monitor_->include(a_->netns()));
  ASSERT_TRUE(monitor_->include(a_->netns()));
  add_address(a_->netns(), 1);
  EXPECT_TRUE(hears());
}

TEST_F(RouteMonitorTest, IncludesOneThatHasAnIdAlready) {
  ASSERT_TRUE(monitor_->include(a_->netns()));
  auto other = RouteMonitor::create(*loop_, appeared_.delegate());
  ASSERT_TRUE(other);
  const auto included = (*other)->include(a_->netns());
  EXPECT_TRUE(included) << included.error().message();
  monitor_.reset();
  add_address(a_->netns(), 1);
  EXPECT_TRUE(hears());
}

TEST_F(RouteMonitorTest, HearsTheOwnNamespaceWithoutBeingAsked) {
  // In a thread that is in a namespace of its own: nothing is done to the one of the test.
  std::thread([&] {
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    Heard appeared;
    auto monitor = RouteMonitor::create(*loop_, appeared.delegate());
    ASSERT_TRUE(monitor);
    const UniqueFd socket = UniqueFd::adopt(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    ASSERT_EQ(::ioctl(socket.get(), SIOCSIFFLAGS, &request), 0);
    EXPECT_TRUE(run_until([&] { return appeared.calls > 0; }));
  }).join();
}

TEST_F(RouteMonitorTest, IncludesTheNamespaceOfAProcess) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool moved = ::unshare(CLONE_NEWNET) == 0;
    (void)!::write(ready[1], &moved, 1);
    ::pause();
    ::_exit(0);
  }
  bool moved = false;
  EXPECT_EQ(::read(ready[0], &moved, 1), 1);
  {
    const auto netns = Netns::of_process(child);
    ASSERT_TRUE(netns);
    const auto included = monitor_->include(*netns);
    EXPECT_TRUE(included) << included.error().message();
    add_address(*netns, 1);
    EXPECT_TRUE(hears());
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(RouteMonitorTest, AForgottenNamespaceCanBeIncludedAgain) {
  ASSERT_TRUE(monitor_->include(a_->netns()));
  monitor_->forget(a_->netns().cookie());
  ASSERT_TRUE(monitor_->include(a_->netns()));
  add_address(a_->netns(), 1);
  EXPECT_TRUE(hears());
}

TEST_F(RouteMonitorTest, WithoutPrivilegeIncludingFails) {
  std::thread([&] {
    give_up(CAP_NET_ADMIN);
    const auto included = monitor_->include(a_->netns());
    ASSERT_FALSE(included);
    EXPECT_EQ(included.error().number(), EPERM) << included.error().message();
  }).join();
}

TEST_F(RouteMonitorTest, WithoutPrivilegeThereIsNone) {
  std::thread([&] {
    give_up(CAP_NET_BROADCAST);
    const auto made = RouteMonitor::create(*loop_, appeared_.delegate());
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().number(), EPERM) << made.error().message();
  }).join();
}

TEST_F(RouteMonitorTest, ANamespaceThatIsGoneCannotBeIncluded) {
  const auto gone = make_netns("gone");
  auto netns = Netns::open(path_of(*gone));
  ASSERT_TRUE(netns);
  netns->park();
  gone->remove();
  const auto included = monitor_->include(*netns);
  ASSERT_FALSE(included);
  EXPECT_EQ(included.error().number(), ENOENT) << included.error().message();
}

}  // namespace
}  // namespace nsrelay
