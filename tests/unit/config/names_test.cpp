#include "names.hpp"

#include <gtest/gtest.h>

namespace nsrelay {
namespace {

template <auto Parse>
void expect_valid(std::initializer_list<std::string_view> texts) {
  for (const std::string_view text : texts)
    EXPECT_TRUE(Parse(text)) << text;
}

template <auto Parse>
void expect_invalid(std::initializer_list<std::string_view> texts) {
  for (const std::string_view text : texts)
    EXPECT_FALSE(Parse(text)) << text;
}

const std::string kLong(256, 'a');

TEST(RuleName, IsLettersDigitsAndThreeSigns) {
  expect_valid<parse_rule_name>({"web", "a", "A-b_c.9", "123", std::string_view(kLong).substr(1)});
  expect_invalid<parse_rule_name>({"", "a b", "a/b", "\xc3\xa4", "a:b", kLong});
}

TEST(InterfaceName, IsWhatTheKernelTakes) {
  expect_valid<parse_interface_name>({"eth0", "ens160.7", "a@b", "exactly15bytes_"});
  expect_invalid<parse_interface_name>(
      {"", ".", "..", "a/b", "a:1", "a b", "more than fifteen", "sixteen_bytes_xx"});
}

TEST(CongestionName, IsAWord) {
  expect_valid<parse_congestion_name>({"cubic", "bbr", "bbr2", "dctcp-reno"});
  expect_invalid<parse_congestion_name>({"", "a b", "sixteen_bytes_xx", "../x"});
}

TEST(UnixPath, IsAbsoluteAndFitsASocketAddress) {
  const std::string fits = "/" + std::string(106, 'x');
  expect_valid<parse_unix_path>({"/run/app.sock", fits});
  expect_invalid<parse_unix_path>({"", "app.sock", "./app.sock", fits + "x"});
  EXPECT_EQ(parse_unix_path(fits + "x").error().message(),
            "a Unix path of 108 bytes is too long; allowed: at most 107 bytes");
  EXPECT_EQ(parse_unix_path("@abstract").error().message(),
            "abstract sockets are not supported; expected an absolute path");
}

TEST(HostName, FollowsRfc1123AndMayHaveAnUnderscore) {
  const std::string label(63, 'a');
  expect_valid<parse_host_name>({"a", "app.example", "app.example.", "3com.example", "a-b", label,
                                 "a_b", "_sip.example", "app_1"});
  expect_invalid<parse_host_name>(
      {"", ".", "a..b", "-a", "a-", "a b", "\xc3\xa4.example", label + "a", kLong});
}

TEST(HostName, ThatEndsInANumberIsAMistypedAddress) {
  for (const std::string_view text : {"300.0.0.1", "10.0.0", "8080"})
    EXPECT_EQ(parse_host_name(text).error().message(),
              "not an IPv4 address; expected for example 10.0.0.1");
}

TEST(Placeholders, AreReplacedAndOthersRefused) {
  EXPECT_EQ(*replace_placeholders("app.{netns}.example", "blue"), "app.blue.example");
  EXPECT_EQ(*replace_placeholders("{netns}{netns}", "b"), "bb");
  EXPECT_EQ(*replace_placeholders("plain", "b"), "plain");
  for (const std::string_view text : {"{name}", "a{", "}", "{netns", "{{netns}}"})
    EXPECT_EQ(replace_placeholders(text, "b").error().message(),
              "unknown placeholder; allowed: {netns}");
}

}  // namespace
}  // namespace nsrelay
