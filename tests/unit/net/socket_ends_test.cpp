#include "nsrelay/net/socket_ends.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/sctp_test.hpp"
#include "support/sockets.hpp"

namespace nsrelay {
namespace {

using test::local_address;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(SocketEndsTest, AreThoseOfThePeerTheOtherWayRound) {
  const test::SocketPair pair = test::make_tcp_pair();
  const IpEndpoint near = local_address(pair.near).endpoint();
  const IpEndpoint far = local_address(pair.far).endpoint();
  const SocketEnds ends = socket_ends(pair.near.get());
  EXPECT_THAT(ends.local, ElementsAre(near));
  EXPECT_THAT(ends.remote, ElementsAre(far));
  EXPECT_THAT(socket_ends(pair.far.get()).local, ElementsAre(far));
}

TEST(SocketEndsTest, OfAConnectedDatagramSocket) {
  UniqueFd far = test::make_socket(AF_INET, SOCK_DGRAM);
  const SocketAddress any = test::loopback();
  ASSERT_EQ(::bind(far.get(), any.data(), any.size()), 0);
  UniqueFd near = test::make_socket(AF_INET, SOCK_DGRAM);
  const SocketAddress address = local_address(far);
  ASSERT_EQ(::connect(near.get(), address.data(), address.size()), 0);
  EXPECT_THAT(socket_ends(near.get()).remote, ElementsAre(address.endpoint()));
  EXPECT_THAT(socket_ends(far.get()).remote, IsEmpty());
}

TEST(SocketEndsTest, NothingHasNone) {
  EXPECT_THAT(socket_ends(-1).local, IsEmpty());
  const test::SocketPair pair = test::make_unix_pair();
  EXPECT_THAT(socket_ends(pair.near.get()).local, IsEmpty());
  EXPECT_THAT(socket_ends(pair.near.get()).remote, IsEmpty());
}

using SctpSocketEndsTest = test::SctpTest;

TEST_F(SctpSocketEndsTest, HaveEveryAddressOfAnEndpointThatIsBoundToNone) {
  const test::SocketPair pair = make_sctp_pair();
  const SocketEnds near = socket_ends(pair.near.get());
  const SocketEnds far = socket_ends(pair.far.get());
  EXPECT_THAT(near.remote, Contains(local_address(pair.far).endpoint()));
  ASSERT_FALSE(near.local.empty());
  for (const IpEndpoint& end : far.remote)
    EXPECT_THAT(near.local, Contains(end));
}

}  // namespace
}  // namespace nsrelay
