#include "nsrelay/net/socket_address.hpp"

#include <gtest/gtest.h>

#include "support/sockets.hpp"

namespace nsrelay {
namespace {

IpEndpoint endpoint(std::string_view ip, std::uint16_t port) {
  return {*IpAddress::parse(ip), port};
}

TEST(IpEndpoint, PrintsVersionFourPlainAndVersionSixInBrackets) {
  EXPECT_EQ(endpoint("10.0.0.1", 80).to_string(), "10.0.0.1:80");
  EXPECT_EQ(endpoint("2001:db8::1", 8080).to_string(), "[2001:db8::1]:8080");
}

TEST(SocketAddress, OfVersionFourIsASockaddrIn) {
  const SocketAddress address(endpoint("10.1.2.3", 443));
  ASSERT_EQ(address.size(), sizeof(sockaddr_in));
  const auto* raw = reinterpret_cast<const sockaddr_in*>(address.data());
  EXPECT_EQ(raw->sin_family, AF_INET);
  EXPECT_EQ(ntohs(raw->sin_port), 443);
  EXPECT_EQ(ntohl(raw->sin_addr.s_addr), 0x0a010203U);
  EXPECT_EQ(address.endpoint(), endpoint("10.1.2.3", 443));
  EXPECT_EQ(address.scope(), 0U);
  EXPECT_FALSE(address.is_unix());
  EXPECT_EQ(address.to_string(), "10.1.2.3:443");
}

TEST(SocketAddress, OfVersionSixCarriesTheScope) {
  const SocketAddress address(endpoint("fe80::1", 53), 7);
  ASSERT_EQ(address.size(), sizeof(sockaddr_in6));
  EXPECT_EQ(address.family(), AF_INET6);
  EXPECT_EQ(address.scope(), 7U);
  EXPECT_EQ(address.endpoint(), endpoint("fe80::1", 53));
  EXPECT_EQ(address.to_string(), "[fe80::1]:53");
}

TEST(SocketAddress, OfADualStackClientReadsAsVersionFour) {
  SocketAddress address;
  sockaddr_in6 mapped{};
  mapped.sin6_family = AF_INET6;
  mapped.sin6_port = htons(80);
  mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
  mapped.sin6_addr.s6_addr[12] = 192;
  mapped.sin6_addr.s6_addr[15] = 9;
  *reinterpret_cast<sockaddr_in6*>(address.data()) = mapped;
  EXPECT_EQ(address.endpoint(), endpoint("192.0.0.9", 80));
  EXPECT_EQ(address.to_string(), "192.0.0.9:80");
}

TEST(SocketAddress, HasRoomForWhateverTheKernelFillsIn) {
  const UniqueFd listener = test::make_listener();
  SocketAddress address;
  ASSERT_EQ(::getsockname(listener.get(), address.data(), address.size_to_fill()), 0);
  EXPECT_EQ(address.size(), sizeof(sockaddr_in));
  EXPECT_EQ(address.endpoint().ip.to_string(), "127.0.0.1");
  EXPECT_NE(address.endpoint().port, 0);
}

TEST(SocketAddress, OfAUnixPathCountsTheTerminatingNul) {
  const auto address = SocketAddress::unix_path("/run/app.sock");
  ASSERT_TRUE(address);
  EXPECT_TRUE(address->is_unix());
  EXPECT_EQ(address->size(), offsetof(sockaddr_un, sun_path) + sizeof "/run/app.sock");
  EXPECT_EQ(address->to_string(), "unix:/run/app.sock");
}

TEST(SocketAddress, OfAnAbstractNameHasNoNulAtItsEnd) {
  const auto address = SocketAddress::unix_path("@app");
  ASSERT_TRUE(address);
  EXPECT_EQ(address->size(), offsetof(sockaddr_un, sun_path) + 4);
  const auto* raw = reinterpret_cast<const sockaddr_un*>(address->data());
  EXPECT_EQ(std::string_view(raw->sun_path, 4), std::string_view("\0app", 4));
  EXPECT_EQ(address->to_string(), "unix:@app");
}

TEST(SocketAddress, OfAnAbstractNameIsTheOneThatTheKernelReports) {
  const std::string name = "@nsrelay-unit-" + std::to_string(::getpid());
  const auto address = SocketAddress::unix_path(name);
  ASSERT_TRUE(address);
  const UniqueFd listener = test::make_listener(*address);
  EXPECT_EQ(test::local_address(listener).to_string(), "unix:" + name);
}

TEST(SocketAddress, TakesAUnixPathOf107BytesAndNoMore) {
  const std::string longest(107, 'x');
  const auto fits = SocketAddress::unix_path(longest);
  ASSERT_TRUE(fits);
  EXPECT_EQ(fits->to_string(), "unix:" + longest);
  const auto too_long = SocketAddress::unix_path(longest + "x");
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().message(), "a Unix socket path has 1 to 107 bytes, this one has 108");
  EXPECT_FALSE(SocketAddress::unix_path(""));
}

TEST(SocketAddress, OfAnUnnamedUnixClientPrintsAnEmptyPath) {
  const test::SocketPair pair = test::make_unix_pair();
  EXPECT_EQ(test::local_address(pair.near).to_string(), "unix:");
}

}  // namespace
}  // namespace nsrelay
