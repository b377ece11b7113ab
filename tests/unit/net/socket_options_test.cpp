#include "nsrelay/net/socket_options.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "support/sockets.hpp"

namespace nsrelay {
namespace {

using test::int_option;
using test::make_socket;

/// A new TCP socket with `options` set, which must succeed.
UniqueFd socket_with(const TcpOptions& options) {
  UniqueFd socket = make_socket(AF_INET);
  const auto set = apply_tcp_options(socket.get(), options);
  EXPECT_TRUE(set) << set.error().message();
  return socket;
}

TEST(SetOption, NamesTheOptionInItsError) {
  const UniqueFd socket = make_socket(AF_INET, SOCK_DGRAM);
  const auto set = set_option(socket.get(), IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().message().find("TCP_NODELAY: "), 0U);
  EXPECT_NE(set.error().number(), 0);
}

TEST(HoldHandshakeAck, IsUndoneByPushing) {
  const UniqueFd socket = make_socket(AF_INET);
  hold_handshake_ack(socket.get());
  EXPECT_EQ(int_option(socket, IPPROTO_TCP, TCP_QUICKACK), 0);
  push_ack(socket.get());
  EXPECT_EQ(int_option(socket, IPPROTO_TCP, TCP_QUICKACK), 1);
}

TEST(ApplyTcpOptions, AlwaysKeepsUrgentBytesInTheStream) {
  EXPECT_EQ(int_option(socket_with({}), SOL_SOCKET, SO_OOBINLINE), 1);
}

TEST(ApplyTcpOptions, SetsNodelayOnlyWhenAsked) {
  EXPECT_EQ(int_option(socket_with({.nodelay = true}), IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(int_option(socket_with({.nodelay = false}), IPPROTO_TCP, TCP_NODELAY), 0);
}

TEST(ApplyTcpOptions, SetsKeepaliveWithItsIdleTimeInWholeSeconds) {
  const UniqueFd socket = socket_with({.keepalive = Duration(61'000)});
  EXPECT_EQ(int_option(socket, SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(int_option(socket, IPPROTO_TCP, TCP_KEEPIDLE), 61);
}

TEST(ApplyTcpOptions, RoundsAShortKeepaliveUpBecauseZeroIsNotAllowed) {
  const UniqueFd socket = socket_with({.keepalive = Duration(250)});
  EXPECT_EQ(int_option(socket, IPPROTO_TCP, TCP_KEEPIDLE), 1);
}

TEST(ApplyTcpOptions, LeavesKeepaliveOffWhenItIsOff) {
  EXPECT_EQ(int_option(socket_with({}), SOL_SOCKET, SO_KEEPALIVE), 0);
}

TEST(ApplyTcpOptions, SetsTheUserTimeoutInMilliseconds) {
  const UniqueFd socket = socket_with({.user_timeout = Duration(12'345)});
  EXPECT_EQ(int_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT), 12'345);
}

TEST(ApplyTcpOptions, CapsAUserTimeoutThatTheKernelCannotHold) {
  const UniqueFd socket = socket_with({.user_timeout = Duration(std::chrono::hours(24 * 365))});
  EXPECT_EQ(int_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT), std::numeric_limits<int>::max());
}

TEST(ApplyTcpOptions, SetsTheCongestionControl) {
  const UniqueFd socket = socket_with({.congestion = "reno"});
  char name[16] = {};
  socklen_t size = sizeof name;
  ASSERT_EQ(::getsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, name, &size), 0);
  EXPECT_STREQ(name, "reno");
}

TEST(ApplyTcpOptions, FailsWithEnoentForACongestionControlThatTheKernelHasNot) {
  const UniqueFd socket = make_socket(AF_INET);
  const auto set = apply_tcp_options(socket.get(), {.congestion = "nosuch"});
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().number(), ENOENT);
  EXPECT_EQ(set.error().message(), "TCP_CONGESTION nosuch: No such file or directory");
}

TEST(ApplyTcpOptions, SetsTheBuffersWhichTheKernelDoubles) {
  const UniqueFd socket =
      socket_with({.receive_buffer = ByteSize{50'000}, .send_buffer = ByteSize{60'000}});
  EXPECT_EQ(int_option(socket, SOL_SOCKET, SO_RCVBUF), 100'000);
  EXPECT_EQ(int_option(socket, SOL_SOCKET, SO_SNDBUF), 120'000);
}

TEST(ApplyTcpOptions, OfAListenerAreInheritedByWhatItAccepts) {
  UniqueFd listener = socket_with({.nodelay = true,
                                   .keepalive = Duration(77'000),
                                   .user_timeout = Duration(5'000),
                                   .receive_buffer = ByteSize{50'000}});
  const SocketAddress any = test::loopback();
  ASSERT_EQ(::bind(listener.get(), any.data(), any.size()), 0);
  ASSERT_EQ(::listen(listener.get(), 4), 0);
  const UniqueFd client = test::connect_to(test::local_address(listener));
  const UniqueFd accepted = test::accept_from(listener);
  EXPECT_EQ(int_option(accepted, IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(int_option(accepted, IPPROTO_TCP, TCP_KEEPIDLE), 77);
  EXPECT_EQ(int_option(accepted, IPPROTO_TCP, TCP_USER_TIMEOUT), 5'000);
  EXPECT_EQ(int_option(accepted, SOL_SOCKET, SO_RCVBUF), 100'000);
  EXPECT_EQ(int_option(accepted, SOL_SOCKET, SO_OOBINLINE), 1);
}

TEST(BindToDevice, BindsToAnInterfaceThatExists) {
  const UniqueFd socket = make_socket(AF_INET);
  ASSERT_TRUE(bind_to_device(socket.get(), "lo"));
  char name[16] = {};
  socklen_t size = sizeof name;
  ASSERT_EQ(::getsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, name, &size), 0);
  EXPECT_STREQ(name, "lo");
}

TEST(BindToDevice, FailsWithEnodevForAnUnknownInterface) {
  const UniqueFd socket = make_socket(AF_INET);
  const auto bound = bind_to_device(socket.get(), "nosuch0");
  ASSERT_FALSE(bound);
  EXPECT_EQ(bound.error().number(), ENODEV);
  EXPECT_EQ(bound.error().message(), "bind to device nosuch0: No such device");
}

TEST(LimitReceiveWindow, IsReadBack) {
  const test::SocketPair pair = test::make_tcp_pair();
  EXPECT_EQ(bound_receive_buffer(pair.near.get(), ByteSize{100'000}), ::geteuid() == 0);
  EXPECT_EQ(int_option(pair.near, IPPROTO_TCP, TCP_WINDOW_CLAMP), 100'000);
}

TEST(ResetOnClose, MakesTheCloseAReset) {
  test::SocketPair pair = test::make_tcp_pair();
  reset_on_close(pair.near.get());
  pair.near.close();
  EXPECT_TRUE(test::wait_for(pair.far, POLLIN));
  EXPECT_TRUE(test::is_reset(pair.far));
}

TEST(ReadableBytes, CountsWhatARestOfTheQueueHolds) {
  const test::SocketPair pair = test::make_tcp_pair();
  EXPECT_EQ(readable_bytes(pair.far.get()), 0);
  test::send_text(pair.near, "12345");
  ASSERT_TRUE(test::wait_for(pair.far, POLLIN));
  EXPECT_EQ(readable_bytes(pair.far.get()), 5);
  EXPECT_EQ(test::receive_text(pair.far, 2), "12");
  EXPECT_EQ(readable_bytes(pair.far.get()), 3);
}

TEST(UnacknowledgedBytes, AreThereUntilThePeersKernelHasTakenThem) {
  const test::SocketPair pair = test::make_tcp_pair();
  EXPECT_EQ(unacknowledged_bytes(pair.near.get()), 0);
  // More than the peer's window takes: the rest stays unacknowledged until somebody reads.
  const std::string block(65536, 'x');
  std::size_t sent = 0;
  for (ssize_t count = 0; count >= 0; sent += static_cast<std::size_t>(std::max(count, {})))
    count = ::send(pair.near.get(), block.data(), block.size(), MSG_NOSIGNAL);
  EXPECT_GT(unacknowledged_bytes(pair.near.get()), 0);
  for (std::size_t received = 0; received < sent;) {
    ASSERT_TRUE(test::wait_for(pair.far, POLLIN));
    received += test::receive_text(pair.far).size();
  }
  const auto end = std::chrono::steady_clock::now() + test::kPatience;
  while (unacknowledged_bytes(pair.near.get()) > 0 && std::chrono::steady_clock::now() < end) {
  }
  EXPECT_EQ(unacknowledged_bytes(pair.near.get()), 0);
}

TEST(UnacknowledgedBytes, OfASocketPastSendingAreNone) {
  const UniqueFd listener = test::make_listener();  // SIOCOUTQ fails with EINVAL
  EXPECT_EQ(unacknowledged_bytes(listener.get()), 0);
}

TEST(TakeSocketError, GivesTheErrorOnce) {
  const UniqueFd unused = test::reserve_port();
  const UniqueFd socket = test::connect_to(test::local_address(unused));
  ASSERT_TRUE(test::wait_for(socket, POLLOUT));
  EXPECT_EQ(take_socket_error(socket.get()), ECONNREFUSED);
  EXPECT_EQ(take_socket_error(socket.get()), 0);
}

TEST(TakeSocketError, OfNoSocketIsItsOwnError) {
  EXPECT_EQ(take_socket_error(-1), EBADF);
}

}  // namespace
}  // namespace nsrelay
