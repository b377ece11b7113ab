#include "nsrelay/base/ip_address.hpp"

#include <gtest/gtest.h>

namespace nsrelay {
namespace {

IpAddress address(std::string_view text) {
  return *IpAddress::parse(text);
}
IpNetwork network(std::string_view text) {
  return *IpNetwork::parse(text);
}

TEST(IpAddress, IsReadAndWrittenInBothFamilies) {
  EXPECT_EQ(address("10.0.0.1").to_string(), "10.0.0.1");
  for (std::string_view v4 : {"0.0.0.0", "1.20.100.9", "255.255.255.255"})
    EXPECT_EQ(address(v4).to_string(), v4);
  EXPECT_EQ(address("2001:0db8::0001").to_string(), "2001:db8::1");
  EXPECT_TRUE(address("::").is_any());
  EXPECT_TRUE(address("fe80::1").is_link_local_v6());
}

TEST(IpAddress, AMappedAddressIsTheIpv4One) {
  EXPECT_EQ(address("::ffff:192.0.2.7"), address("192.0.2.7"));
}

TEST(IpAddress, OtherTextIsRefused) {
  for (std::string_view text :
       {"", "10.0.0", "10.0.0.256", "host", "[::1]", "fe80::1%eth0", " ::1"})
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  EXPECT_FALSE(IpAddress::parse(std::string_view("10.0.0.1\0x", 10)));
}

TEST(IpNetwork, ContainsExactlyTheAddressesBehindItsPrefix) {
  EXPECT_TRUE(network("10.0.0.0/8").contains(address("10.255.255.255")));
  EXPECT_FALSE(network("10.0.0.0/8").contains(address("11.0.0.0")));
  EXPECT_TRUE(network("10.1.2.128/25").contains(address("10.1.2.129")));
  EXPECT_FALSE(network("10.1.2.128/25").contains(address("10.1.2.127")));
  EXPECT_TRUE(network("0.0.0.0/0").contains(address("192.0.2.1")));
  EXPECT_FALSE(network("0.0.0.0/0").contains(address("::1")));
  EXPECT_TRUE(network("2001:db8::/33").contains(address("2001:db8:7fff::")));
  EXPECT_FALSE(network("2001:db8::/33").contains(address("2001:db8:8000::")));
  EXPECT_TRUE(network("192.0.2.1").contains(address("192.0.2.1")));
  EXPECT_FALSE(network("192.0.2.1").contains(address("192.0.2.0")));
}

TEST(IpNetwork, BitsBehindThePrefixAreRefusedWithTheNetworkThatWasMeant) {
  EXPECT_EQ(IpNetwork::parse("10.0.0.1/8").error().message(),
            "address bits behind the prefix; did you mean 10.0.0.0/8?");
}

TEST(IpNetwork, PrefixesOutOfRangeAreRefused) {
  for (std::string_view text : {"10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x"})
    EXPECT_FALSE(IpNetwork::parse(text)) << text;
}

}  // namespace
}  // namespace nsrelay
