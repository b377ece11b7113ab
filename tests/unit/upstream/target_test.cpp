#include "nsrelay/upstream/target.hpp"

#include <gtest/gtest.h>

namespace nsrelay {
namespace {

TargetSpec address(std::string_view ip, PortRange ports) {
  return {.kind = TargetSpec::Kind::Address,
          .text = std::string(ip),
          .addresses = {{*IpAddress::parse(ip), ""}},
          .ports = ports};
}

TEST(ExpandNetns, ReplacesEveryPlaceholder) {
  EXPECT_EQ(expand_netns("app.example", "blue"), "app.example");
  EXPECT_EQ(expand_netns("{netns}.example", "blue"), "blue.example");
  EXPECT_EQ(expand_netns("/run/{netns}/{netns}.sock", "blue"), "/run/blue/blue.sock");
  EXPECT_EQ(expand_netns("{netns}", ""), "");
}

TEST(ExpandNetns, DoesNotExpandWhatANameBringsIn) {
  EXPECT_EQ(expand_netns("a{netns}b", "{netns}"), "a{netns}b");
  EXPECT_EQ(expand_netns("{netns}{netns}", "{netns}x"), "{netns}x{netns}x");
}

TEST(DependsOnNetns, WhenAnyTargetHasThePlaceholder) {
  UpstreamConfig upstream;
  upstream.targets = {{.text = "10.0.0.5:80"}};
  EXPECT_FALSE(depends_on_netns(upstream));
  upstream.targets.push_back({.text = "unix:/run/{netns}.sock"});
  EXPECT_TRUE(depends_on_netns(upstream));
}

TEST(Describe, NamesEveryAddressOfAnSctpEndpoint) {
  const auto parse = [](const char* text) { return *IpAddress::parse(text); };
  EXPECT_EQ(describe({{parse("10.0.0.5"), ""}, {parse("10.0.1.5"), ""}}, 2905),
            "10.0.0.5+10.0.1.5:2905");
  EXPECT_EQ(describe({{parse("2001:db8::5"), ""}, {parse("fe80::5"), "eth0"}}, 2905),
            "[2001:db8::5]+[fe80::5%eth0]:2905");
}

TEST(PortOf, OfOnePortIsItForEveryListenerOfARange) {
  EXPECT_EQ(port_of(address("10.0.0.5", {80, 80}), 0), 80);
  EXPECT_EQ(port_of(address("10.0.0.5", {80, 80}), 7), 80);
}

TEST(PortOf, OfARangeFollowsTheListener) {
  EXPECT_EQ(port_of(address("10.0.0.5", {9000, 9009}), 0), 9000);
  EXPECT_EQ(port_of(address("10.0.0.5", {9000, 9009}), 9), 9009);
  EXPECT_EQ(port_of(address("10.0.0.5", {65534, 65535}), 1), 65535);
}

TEST(Describe, CallsATargetWhatTheLogCallsIt) {
  EXPECT_EQ(describe(address("10.0.0.5", {80, 80}), 0), "10.0.0.5:80");
  EXPECT_EQ(describe(address("2001:db8::5", {80, 89}), 3), "[2001:db8::5]:83");
  EXPECT_EQ(describe({.kind = TargetSpec::Kind::HostName, .host = "app", .ports = {80, 80}}, 0),
            "app:80");
  EXPECT_EQ(describe({.kind = TargetSpec::Kind::UnixPath, .path = "/run/app.sock"}, 4),
            "unix:/run/app.sock");
}

}  // namespace
}  // namespace nsrelay
