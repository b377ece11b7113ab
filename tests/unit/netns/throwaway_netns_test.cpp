#include "nsrelay/netns/throwaway_netns.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "nsrelay/netns/netns_scope.hpp"
#include "support/netns_test.hpp"
#include "support/sockets.hpp"

namespace nsrelay {
namespace {

bool exists(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0;
}

class ThrowawayNetnsTest : public testing::Test {
 protected:
  void SetUp() override { NSRELAY_NEEDS_ROOT(); }
};

TEST_F(ThrowawayNetnsTest, IsNamedWhileItLivesAndLeavesNothingBehind) {
  {
    const auto made = test::make_netns("life");
    ASSERT_TRUE(made);
    EXPECT_EQ(made->name(), test::netns_name("life"));
    EXPECT_TRUE(exists(test::netns_path("life")));
  }
  EXPECT_FALSE(exists(test::netns_path("life")));
}

TEST_F(ThrowawayNetnsTest, HasItsLoopbackUp) {
  const auto made = test::make_netns("lo");
  ASSERT_TRUE(made);
  const auto listener = make_socket_in(made->netns(), AF_INET, SOCK_STREAM, 0);
  ASSERT_TRUE(listener);
  const SocketAddress any = test::loopback();
  ASSERT_EQ(::bind(listener->get(), any.data(), any.size()), 0);
  ASSERT_EQ(::listen(listener->get(), 1), 0);
  const auto client = make_socket_in(made->netns(), AF_INET, SOCK_STREAM, 0);
  ASSERT_TRUE(client);
  const SocketAddress address = test::local_address(*listener);
  EXPECT_EQ(::connect(client->get(), address.data(), address.size()), -1);
  EXPECT_EQ(errno, EINPROGRESS);
  EXPECT_TRUE(test::wait_for(*listener, POLLIN));
}

TEST_F(ThrowawayNetnsTest, DoesNotTakeANameThatExistsAndLeavesItAlone) {
  const auto first = test::make_netns("taken");
  ASSERT_TRUE(first);
  const auto second = ThrowawayNetns::create(test::netns_name("taken"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().number(), EEXIST);
  const auto still = Netns::open(test::netns_path("taken"));
  ASSERT_TRUE(still);
  EXPECT_EQ(still->cookie(), first->netns().cookie());
}

TEST_F(ThrowawayNetnsTest, RemovingTwiceIsRemovingOnce) {
  const auto made = test::make_netns("twice");
  ASSERT_TRUE(made);
  made->remove();
  const auto successor = test::make_netns("twice");
  ASSERT_TRUE(successor);
  made->remove();
  EXPECT_TRUE(exists(test::netns_path("twice")));
}

}  // namespace
}  // namespace nsrelay
