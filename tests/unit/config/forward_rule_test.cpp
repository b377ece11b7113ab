#include "nsrelay/config/forward_rule.hpp"

#include <gtest/gtest.h>

namespace nsrelay {
namespace {

IpAddress address(std::string_view text) {
  return *IpAddress::parse(text);
}

TEST(Admits, EverybodyWithoutLists) {
  EXPECT_TRUE(admits(ForwardRule{}, address("192.0.2.1")));
}

TEST(Admits, OnlyTheAllowedAndDenyWins) {
  ForwardRule rule;
  rule.allow = {*IpNetwork::parse("10.0.0.0/8")};
  rule.deny = {*IpNetwork::parse("10.1.0.0/16")};
  EXPECT_TRUE(admits(rule, address("10.2.0.1")));
  EXPECT_FALSE(admits(rule, address("10.1.0.1")));
  EXPECT_FALSE(admits(rule, address("192.0.2.1")));
  EXPECT_FALSE(admits(rule, address("2001:db8::1")));
}

}  // namespace
}  // namespace nsrelay
