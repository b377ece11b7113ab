#include "netns_selector.hpp"

#include <gtest/gtest.h>

namespace nsrelay {
namespace {

using Kind = NetnsSelector::Kind;

struct Form {
  std::string_view text;
  Kind kind;
};

class NetnsForm : public testing::TestWithParam<Form> {};

TEST_P(NetnsForm, IsRecognised) {
  const auto selector = parse_netns(GetParam().text);
  ASSERT_TRUE(selector) << selector.error().message();
  EXPECT_EQ(selector->kind, GetParam().kind);
  EXPECT_EQ(selector->text, GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    All, NetnsForm,
    testing::Values(Form{"default", Kind::Default}, Form{"ns1", Kind::Name},
                    Form{"cni-1234", Kind::Name}, Form{"defaults", Kind::Name},
                    Form{"tenant-*", Kind::NamePattern}, Form{"*", Kind::NamePattern},
                    Form{"cni-[0-9]*", Kind::NamePattern}, Form{"n?", Kind::NamePattern},
                    Form{"[]a]", Kind::NamePattern}, Form{"/run/netns/ns1", Kind::Path},
                    Form{"/var/run/docker/netns/*", Kind::PathPattern}, Form{"pid:4242", Kind::Pid},
                    Form{"pid:4194304", Kind::Pid}));

TEST(Netns, OfAProcessHasItsNumber) {
  EXPECT_EQ(parse_netns("pid:4242")->pid, 4242);
}

struct Wrong {
  std::string text;
  std::string_view message;
};

void PrintTo(const Wrong& wrong, std::ostream* out) {
  *out << wrong.text.substr(0, 40);
}

class WrongNetns : public testing::TestWithParam<Wrong> {};

TEST_P(WrongNetns, IsRefused) {
  const auto selector = parse_netns(GetParam().text);
  ASSERT_FALSE(selector);
  EXPECT_EQ(selector.error().message(), GetParam().message);
}

constexpr std::string_view kBadName =
    "not the name of a namespace; allowed: 1 to 255 bytes, not '.' or '..'";
constexpr std::string_view kBadPid = "not a process; allowed: pid:1 to pid:4194304";

INSTANTIATE_TEST_SUITE_P(
    All, WrongNetns,
    testing::Values(
        Wrong{"", kBadName}, Wrong{".", kBadName}, Wrong{"..", kBadName},
        Wrong{std::string(256, 'a'), kBadName}, Wrong{"/", kBadName},
        Wrong{"/run/netns/", kBadName}, Wrong{"/run/netns/..", kBadName},
        Wrong{"a/b", "expected a name in /run/netns or an absolute path"},
        Wrong{"a\nb", "the name of a namespace may not contain control characters"},
        Wrong{"a[b", "'[' without ']' in a pattern"}, Wrong{"[!]", "'[' without ']' in a pattern"},
        Wrong{"/*/netns", "a pattern is allowed in the last part of a path only"},
        Wrong{"/" + std::string(4095, 'a'), "the path is too long; allowed: at most 4095 bytes"},
        Wrong{"pid:0", kBadPid}, Wrong{"pid:", kBadPid}, Wrong{"pid:-1", kBadPid},
        Wrong{"pid:1x", kBadPid}, Wrong{"pid:4194305", kBadPid}, Wrong{"pid:99999999999", kBadPid},
        Wrong{"same", "allowed in upstream.netns only"}));

TEST(UpstreamNetns, IsOneNamespaceAndMayBeTheListeners) {
  EXPECT_EQ(parse_upstream_netns("same")->kind, Kind::Same);
  EXPECT_EQ(parse_upstream_netns("ns1")->kind, Kind::Name);
  EXPECT_EQ(parse_upstream_netns("/run/netns/x")->kind, Kind::Path);
  EXPECT_EQ(parse_upstream_netns("pid:1")->kind, Kind::Pid);
  for (const std::string_view pattern : {"tenant-*", "/run/netns/*"})
    EXPECT_EQ(parse_upstream_netns(pattern).error().message(),
              "a pattern is not allowed here; expected default, same, NAME, PATH or pid:N");
}

}  // namespace
}  // namespace nsrelay
