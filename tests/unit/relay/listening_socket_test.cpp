#include "nsrelay/relay/listening_socket.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "nsrelay/netns/netns_scope.hpp"
#include "support/netns_test.hpp"
#include "support/sockets.hpp"

namespace nsrelay {
namespace {

ListenSpec at(std::string_view address, const std::string& zone = "") {
  return {.addresses = {{*IpAddress::parse(address), zone}}};
}

ListenSpec both_families() {
  return {.addresses = {{IpAddress::any_v6(), ""}}, .dual_stack = true};
}

TEST(DescribeListener, ReadsAsInTheConfiguration) {
  EXPECT_EQ(describe_listener(at("0.0.0.0"), 80), "0.0.0.0:80");
  EXPECT_EQ(describe_listener(at("::1"), 80), "[::1]:80");
  EXPECT_EQ(describe_listener(at("::"), 80), "[::]:80");
  EXPECT_EQ(describe_listener(at("fe80::1", "eth0"), 80), "[fe80::1%eth0]:80");
  EXPECT_EQ(describe_listener(both_families(), 80), "*:80");
  ListenSpec endpoint = at("10.0.0.1");
  endpoint.addresses.push_back({*IpAddress::parse("10.0.1.1"), ""});
  EXPECT_EQ(describe_listener(endpoint, 2905), "10.0.0.1+10.0.1.1:2905");
}

class ListeningSocket : public testing::Test {
 protected:
  Result<UniqueFd> open(const ListenSpec& listen, std::uint16_t port = 0) {
    return open_listening_socket(rule_, listen, port, home_netns());
  }

  ForwardRule rule_;
};

TEST_F(ListeningSocket, ListensAtItsAddressWithTheRulesOptions) {
  rule_.user_timeout = Duration(4321);
  const auto socket = open(at("127.0.0.1"));
  ASSERT_TRUE(socket) << socket.error().message();
  EXPECT_EQ(test::local_address(*socket).endpoint().ip.to_string(), "127.0.0.1");
  EXPECT_EQ(test::int_option(*socket, SOL_SOCKET, SO_ACCEPTCONN), 1);
  EXPECT_EQ(test::int_option(*socket, SOL_SOCKET, SO_REUSEADDR), 1);
  EXPECT_EQ(test::int_option(*socket, SOL_SOCKET, SO_REUSEPORT), 1);
  EXPECT_EQ(test::int_option(*socket, IPPROTO_TCP, TCP_USER_TIMEOUT), 4321);
  EXPECT_EQ(::accept(socket->get(), nullptr, nullptr), -1);
  EXPECT_EQ(errno, EAGAIN);
}

TEST_F(ListeningSocket, OfBothFamiliesIsReachedByEither) {
  const auto socket = open(both_families());
  ASSERT_TRUE(socket) << socket.error().message();
  const std::uint16_t port = test::local_port(*socket);
  for (const std::string_view address : {"127.0.0.1", "::1"}) {
    const UniqueFd client =
        test::connect_to(SocketAddress(IpEndpoint{*IpAddress::parse(address), port}));
    EXPECT_TRUE(test::accept_from(*socket)) << address;
  }
}

TEST_F(ListeningSocket, OfVersionSixLeavesVersionFourToOthers) {
  const auto socket = open(at("::"));
  ASSERT_TRUE(socket) << socket.error().message();
  EXPECT_EQ(test::int_option(*socket, IPPROTO_IPV6, IPV6_V6ONLY), 1);
  EXPECT_TRUE(open(at("0.0.0.0"), test::local_port(*socket)));
}

TEST_F(ListeningSocket, APortThatIsTakenIsEaddrinuse) {
  rule_.reuse_port = false;
  const auto first = open(at("127.0.0.1"));
  ASSERT_TRUE(first);
  const auto second = open(at("127.0.0.1"), test::local_port(*first));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().number(), EADDRINUSE);
  EXPECT_EQ(second.error().message(), "bind: Address already in use");
}

TEST_F(ListeningSocket, ReusePortLetsASecondProcessTakeOver) {
  const auto first = open(at("127.0.0.1"));
  ASSERT_TRUE(first);
  EXPECT_TRUE(open(at("127.0.0.1"), test::local_port(*first)));
}

TEST_F(ListeningSocket, AnAddressThatIsAbsentIsEaddrnotavailUnlessFreebind) {
  const auto absent = open(at("192.0.2.1"));
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().number(), EADDRNOTAVAIL);
  rule_.freebind = true;
  EXPECT_TRUE(open(at("192.0.2.1")));
  EXPECT_TRUE(open(at("2001:db8::1")));
}

TEST_F(ListeningSocket, AnUnknownDeviceOrZoneIsEnodev) {
  rule_.bind_device = "nosuch0";
  EXPECT_EQ(open(at("127.0.0.1")).error().number(), ENODEV);
  rule_.bind_device.clear();
  NSRELAY_NEEDS_ROOT();
  EXPECT_EQ(open(at("fe80::1", "nosuch0")).error().number(), ENODEV);
}

TEST_F(ListeningSocket, AcceptsPlainTcpWithMptcpToo) {
  rule_.mptcp = true;
  const auto socket = open(at("127.0.0.1"));
  ASSERT_TRUE(socket) << socket.error().message();
  const UniqueFd client = test::connect_to(test::local_address(*socket));
  EXPECT_TRUE(test::accept_from(*socket));
}

TEST_F(ListeningSocket, IsInItsNamespace) {
  NSRELAY_NEEDS_ROOT();
  const auto made = test::make_netns("listening");
  ASSERT_TRUE(made);
  const auto socket = open_listening_socket(rule_, at("127.0.0.1"), 80, made->netns());
  ASSERT_TRUE(socket) << socket.error().message();
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  ASSERT_EQ(::getsockopt(socket->get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size), 0);
  EXPECT_EQ(cookie, made->netns().cookie());
}

}  // namespace
}  // namespace nsrelay
