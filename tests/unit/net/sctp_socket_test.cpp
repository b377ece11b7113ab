#include "nsrelay/net/sctp_socket.hpp"

#include "support/sctp_test.hpp"

namespace nsrelay {
namespace {

TEST(ExplainMissingSctp, SaysWhatToDo) {
  EXPECT_EQ(explain_missing_sctp(Error::from_errno("socket", EPROTONOSUPPORT)).message(),
            "this kernel has no SCTP (modprobe sctp): socket: Protocol not supported");
  EXPECT_EQ(explain_missing_sctp(Error::from_errno("listen", ENOSYS)).message(),
            "SCTP lacks the digest that net.sctp.cookie_hmac_alg names (modprobe md5 sha1_generic "
            "hmac): listen: Function not implemented");
  EXPECT_EQ(explain_missing_sctp(Error::from_errno("bind", EADDRINUSE)).message(),
            "bind: Address already in use");
  EXPECT_EQ(explain_missing_sctp(Error::from_errno("listen", ENOSYS)).number(), ENOSYS);
}

TEST(IsSctpMissing, ForWhatNoLaterTryOfTheSameKernelChanges) {
  EXPECT_TRUE(is_sctp_missing(EPROTONOSUPPORT));
  EXPECT_TRUE(is_sctp_missing(ESOCKTNOSUPPORT));
  EXPECT_TRUE(is_sctp_missing(ENOSYS));
  EXPECT_FALSE(is_sctp_missing(EADDRINUSE));
  EXPECT_FALSE(is_sctp_missing(EMFILE));
}

class SctpSocket : public test::SctpTest {};

TEST_F(SctpSocket, BothEndsAgreeOnTheFewerStreamsEachWay) {
  const auto pair = make_sctp_pair({40, 7}, {20, 30});
  EXPECT_EQ(granted_sctp_streams(pair.near.get()), (SctpStreams{30, 7}));
  EXPECT_EQ(granted_sctp_streams(pair.far.get()), (SctpStreams{7, 30}));
}

TEST_F(SctpSocket, HasNoStreamsWithoutAnAssociation) {
  EXPECT_EQ(granted_sctp_streams(make_sctp_socket().get()), std::nullopt);
  EXPECT_EQ(unacknowledged_sctp_chunks(make_sctp_socket().get()), 0U);
}

TEST_F(SctpSocket, IsBoundToAllAddressesOfItsEndpoint) {
  const UniqueFd socket = make_sctp_socket();
  const SocketAddress first = test::loopback();
  ASSERT_TRUE(bind_sctp(socket.get(), {&first, 1}));
  const std::uint16_t port = test::local_port(socket);
  const SocketAddress second(IpEndpoint{*IpAddress::parse("127.0.0.2"), port});
  ASSERT_TRUE(bind_sctp(socket.get(), {&second, 1}));
  const SocketAddress both[] = {second, test::loopback(port)};
  EXPECT_TRUE(is_sctp_bound_to(socket.get(), both));
  EXPECT_FALSE(is_sctp_bound_to(socket.get(), {both, 1}));
  const SocketAddress other_port[] = {second, test::loopback(static_cast<std::uint16_t>(port ^ 1))};
  EXPECT_FALSE(is_sctp_bound_to(socket.get(), other_port));
}

TEST_F(SctpSocket, HasASendBufferForItsLongestMessage) {
  const UniqueFd socket = make_sctp_socket({.longest_message = {2 * 1024 * 1024}});
  int bytes = 0;
  socklen_t size = sizeof bytes;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &bytes, &size);
  EXPECT_GE(bytes, 2 * 1024 * 1024);
}

}  // namespace
}  // namespace nsrelay
