#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/netns/throwaway_netns.hpp"

namespace nsrelay::test {

/// Skips, loudly, what only root can do. To stand first in a test or in its SetUp().
#define NSRELAY_NEEDS_ROOT() \
  if (::geteuid() != 0)      \
  GTEST_SKIP() << "NOT TESTED: making network namespaces needs root"

/// A name in /run/netns that no other run of the tests uses.
inline std::string netns_name(const std::string& tag) {
  return "nsrelay-unit-" + std::to_string(::getpid()) + "-" + tag;
}

inline std::string netns_path(const std::string& tag) {
  return "/run/netns/" + netns_name(tag);
}

/// Makes the namespace netns_name(tag); it goes when the object does.
inline std::unique_ptr<ThrowawayNetns> make_netns(const std::string& tag) {
  auto made = ThrowawayNetns::create(netns_name(tag));
  EXPECT_TRUE(made) << made.error().message();
  return made ? *std::move(made) : nullptr;
}

inline NetnsSelector named(const std::string& tag) {
  return {NetnsSelector::Kind::Name, netns_name(tag)};
}

}  // namespace nsrelay::test
