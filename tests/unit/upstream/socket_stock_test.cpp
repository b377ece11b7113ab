#include "nsrelay/upstream/socket_stock.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <vector>

#include "nsrelay/netns/netns_scope.hpp"
#include "support/failing_system_call.hpp"
#include "support/loop_test.hpp"
#include "support/netns_test.hpp"
#include "support/sockets.hpp"

namespace nsrelay {
namespace {

using std::chrono::milliseconds;

std::uint64_t cookie_of(const UniqueFd& socket) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  EXPECT_EQ(::getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size), 0);
  return cookie;
}

class SocketStockTest : public test::LoopTest {
 protected:
  void SetUp() override {
    NSRELAY_NEEDS_ROOT();
    one_ = test::make_netns("one");
    other_ = test::make_netns("other");
    ASSERT_TRUE(one_ && other_);
  }

  /// Takes a socket, which has to be one of `netns`.
  UniqueFd take(const Netns& netns, int family = AF_INET) {
    auto socket = stock_.take(netns, family);
    EXPECT_TRUE(socket) << socket.error().message();
    if (!socket)
      return {};
    EXPECT_EQ(cookie_of(*socket), netns.cookie());
    EXPECT_EQ(test::int_option(*socket, SOL_SOCKET, SO_DOMAIN), family);
    return *std::move(socket);
  }
  [[nodiscard]] const Netns& one() const { return one_->netns(); }

  std::unique_ptr<ThrowawayNetns> one_;
  std::unique_ptr<ThrowawayNetns> other_;
  SocketStock stock_{*loop_, SOCK_STREAM, 0};
};

TEST_F(SocketStockTest, MakesNothingAheadForWhoComesSeldom) {
  for (int i = 0; i < 3; ++i) {
    take(one());
    EXPECT_EQ(stock_.size(), 0U);
    pass(SocketStock::kBusy + milliseconds(1));
  }
}

TEST_F(SocketStockTest, MakesTwiceAsManyEachTimeWhereManyCome) {
  std::vector<std::size_t> left;
  for (int i = 0; i < 1 + 2 + 4 + 8 + 16 + 16; ++i) {
    const std::size_t before = stock_.size();
    take(one());
    if (before == 0)
      left.push_back(stock_.size());
  }
  EXPECT_EQ(left, (std::vector<std::size_t>{0, 1, 3, 7, 15, 15}));
}

TEST_F(SocketStockTest, ClosesWhatIsNotUsed) {
  for (int i = 0; i < 4; ++i)
    take(one());
  ASSERT_GT(stock_.size(), 0U);
  pass(SocketStock::kKept);
  EXPECT_EQ(stock_.size(), 0U);
}

TEST_F(SocketStockTest, NeverGivesASocketOfAnotherNamespaceOrFamily) {
  for (int i = 0; i < 4; ++i)
    take(one());
  ASSERT_GT(stock_.size(), 0U);
  take(other_->netns());
  EXPECT_EQ(stock_.size(), 0U);
  for (int i = 0; i < 4; ++i)
    take(other_->netns());
  take(other_->netns(), AF_INET6);
}

TEST_F(SocketStockTest, MakesNothingAheadAtHome) {
  for (int i = 0; i < 4; ++i) {
    take(home_netns());
    EXPECT_EQ(stock_.size(), 0U);
  }
}

TEST_F(SocketStockTest, PassesTheErrorOn) {
  test::with_failing_system_call({SYS_setns, EPERM}, [&] {
    const auto socket = stock_.take(one(), AF_INET);
    ASSERT_FALSE(socket);
    EXPECT_EQ(socket.error().number(), EPERM);
  });
}

}  // namespace
}  // namespace nsrelay
