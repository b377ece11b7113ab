#include "endpoint.hpp"

#include <gtest/gtest.h>

namespace nsrelay {
namespace {

ZonedAddress address(std::string_view text, std::string zone = "") {
  return {*IpAddress::parse(text), std::move(zone)};
}

TEST(Listen, IsAnAddressAndAPort) {
  const auto listen = parse_listen("10.0.0.1:8000");
  ASSERT_TRUE(listen);
  EXPECT_EQ(*listen, (ListenSpec{{address("10.0.0.1")}, false, {8000, 8000}}));
}

TEST(Listen, TakesAnIpv6AddressInBracketsAndItsInterface) {
  EXPECT_EQ(*parse_listen("[2001:db8::1]:80"),
            (ListenSpec{{address("2001:db8::1")}, false, {80, 80}}));
  EXPECT_EQ(*parse_listen("[fe80::1%eth0]:80"),
            (ListenSpec{{address("fe80::1", "eth0")}, false, {80, 80}}));
}

TEST(Listen, OfAStarIsBothFamilies) {
  EXPECT_EQ(*parse_listen("*:80"), (ListenSpec{{address("::")}, true, {80, 80}}));
  EXPECT_FALSE(parse_listen("[::]:80")->dual_stack);
}

TEST(Listen, TakesARangeOfPorts) {
  const auto listen = parse_listen("0.0.0.0:1-65535");
  ASSERT_TRUE(listen);
  EXPECT_EQ(listen->ports, (PortRange{1, 65535}));
  EXPECT_EQ(listen->ports.size(), 65535);
}

TEST(Listen, TakesSeveralAddressesOfOneFamily) {
  EXPECT_EQ(*parse_listen("10.0.0.1+10.0.1.1:5"),
            (ListenSpec{{address("10.0.0.1"), address("10.0.1.1")}, false, {5, 5}}));
  EXPECT_EQ(*parse_listen("[2001:db8::1]+[2001:db8::2]:5"),
            (ListenSpec{{address("2001:db8::1"), address("2001:db8::2")}, false, {5, 5}}));
}

struct Wrong {
  std::string_view text;
  std::string_view message;
};

void PrintTo(const Wrong& wrong, std::ostream* out) {
  *out << wrong.text;
}

constexpr std::string_view kNoPort =
    "a port is missing; expected ADDRESS:PORT, [V6]:PORT or ADDRESS:FIRST-LAST";
constexpr std::string_view kNoAddress =
    "an address is missing; expected ADDRESS:PORT, [V6]:PORT or ADDRESS:FIRST-LAST";
constexpr const char* kUrl = "a URL is no address; expected ADDRESS:PORT";
constexpr std::string_view kBrackets =
    "an IPv6 address needs brackets, for example [2001:db8::1]:80";
constexpr std::string_view kWildcard = "the wildcard address cannot be a target";

class WrongListen : public testing::TestWithParam<Wrong> {};

TEST_P(WrongListen, IsRefused) {
  const auto listen = parse_listen(GetParam().text);
  ASSERT_FALSE(listen);
  EXPECT_EQ(listen.error().message(), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Port, WrongListen,
    testing::Values(Wrong{"8000", kNoPort}, Wrong{"10.0.0.1", kNoPort}, Wrong{"", kNoPort},
                    Wrong{"[::1]", kNoPort}, Wrong{":80", kNoAddress},
                    Wrong{"*:", "'' is not a port; allowed: 1 to 65535 or FIRST-LAST"},
                    Wrong{"*:http", "'http' is not a port; allowed: 1 to 65535 or FIRST-LAST"},
                    Wrong{"*:-80", "'' is not a port; allowed: 1 to 65535 or FIRST-LAST"},
                    Wrong{"*: 80", "' 80' is not a port; allowed: 1 to 65535 or FIRST-LAST"},
                    Wrong{"*:0", "port 0 is out of range; allowed: 1 to 65535"},
                    Wrong{"*:65536", "port 65536 is out of range; allowed: 1 to 65535"},
                    Wrong{"*:0-9", "port 0 is out of range; allowed: 1 to 65535"},
                    Wrong{"*:9-65536", "port 65536 is out of range; allowed: 1 to 65535"},
                    Wrong{"*:9-8", "the port range runs backwards; expected FIRST-LAST"}));

INSTANTIATE_TEST_SUITE_P(
    Address, WrongListen,
    testing::Values(
        Wrong{"2001:db8::1:80", kBrackets}, Wrong{":::80", kBrackets},
        Wrong{"localhost:80", "a listener needs an IP address or '*', not a host name"},
        Wrong{"300.0.0.1:80",
              "'300.0.0.1' is not an IP address; expected for example 10.0.0.1 or [2001:db8::1]"},
        Wrong{"[10.0.0.1]:80",
              "expected an IPv6 address in the brackets, for example [2001:db8::1]"},
        Wrong{"[2001:db8::1%eth0]:80",
              "only a link-local address (fe80::/10) has an interface behind '%'"},
        Wrong{"[fe80::1%a/b]:80",
              "not an interface name; allowed: 1 to 15 bytes without '/', ':' and white space"},
        Wrong{"10.0.0.1+10.0.0.1:5", "the address 10.0.0.1 is listed twice"},
        Wrong{"10.0.0.1+[::1]:5", "the addresses of one endpoint must be of one family"}));

TEST(Target, IsAnAddress) {
  const auto target = parse_target("[2001:db8::5]:80");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->kind, TargetSpec::Kind::Address);
  EXPECT_EQ(target->addresses, std::vector{address("2001:db8::5")});
  EXPECT_EQ(target->ports, (PortRange{80, 80}));
  EXPECT_EQ(target->text, "[2001:db8::5]:80");
}

TEST(Target, IsAHostNameThatMayNameTheNamespace) {
  const auto target = parse_target("app.{netns}.example:80-90");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->kind, TargetSpec::Kind::HostName);
  EXPECT_EQ(target->host, "app.{netns}.example");
  EXPECT_EQ(target->ports.size(), 11);
}

TEST(Target, IsAUnixPathThatMayNameTheNamespace) {
  const auto target = parse_target("unix:/run/{netns}/app.sock");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->kind, TargetSpec::Kind::UnixPath);
  EXPECT_EQ(target->path, "/run/{netns}/app.sock");
}

class WrongTarget : public testing::TestWithParam<Wrong> {};

TEST_P(WrongTarget, IsRefused) {
  const auto target = parse_target(GetParam().text);
  ASSERT_FALSE(target);
  EXPECT_EQ(target.error().message(), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongTarget,
    testing::Values(Wrong{"10.0.0.5", kNoPort}, Wrong{":80", kNoAddress},
                    Wrong{"2001:db8::5:80", kBrackets}, Wrong{"*:80", kWildcard},
                    Wrong{"0.0.0.0:80", kWildcard}, Wrong{"[::]:80", kWildcard},
                    Wrong{"10.0.0.500:80", "not an IPv4 address; expected for example 10.0.0.1"},
                    Wrong{"a=b:80",
                          "not a host name; allowed: labels of 1 to 63 letters, digits, '_' and "
                          "inner '-', joined by '.'"},
                    Wrong{"http://10.0.0.5:80", kUrl}, Wrong{"tcp://app:80", kUrl},
                    Wrong{"http://app", kUrl},
                    Wrong{"{name}.example:80", "unknown placeholder; allowed: {netns}"},
                    Wrong{"unix:/run/{x}", "unknown placeholder; allowed: {netns}"},
                    Wrong{"unix:app.sock", "a Unix socket needs an absolute path"}));

TEST(MetricsListen, IsOneAddressAndOnePort) {
  EXPECT_EQ(parse_metrics_listen("127.0.0.1:9180")->ports.first, 9180);
  EXPECT_TRUE(parse_metrics_listen("*:9180"));
  EXPECT_FALSE(parse_metrics_listen("127.0.0.1:9180-9190"));
  EXPECT_FALSE(parse_metrics_listen("127.0.0.1+127.0.0.2:9180"));
  EXPECT_FALSE(parse_metrics_listen("localhost:9180"));
}

}  // namespace
}  // namespace nsrelay
