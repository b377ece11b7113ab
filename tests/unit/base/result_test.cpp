#include "nsrelay/base/result.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace nsrelay {
namespace {

TEST(Result, HoldsAValueOrAnError) {
  Result<std::unique_ptr<int>> good = std::make_unique<int>(7);
  ASSERT_TRUE(good);
  EXPECT_EQ(**good, 7);
  Result<int> bad = Error("no");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message(), "no");
}

TEST(Error, GrowsItsContextOutwardsAndKeepsTheNumber) {
  Error error = Error::from_errno("bind", EADDRINUSE);
  error = std::move(error).with_context("listen 10.0.0.1:80 in netns \"blue\"");
  error = std::move(error).with_context("rule \"web\"");
  EXPECT_EQ(error.message(),
            "rule \"web\": listen 10.0.0.1:80 in netns \"blue\": bind: Address already in use");
  EXPECT_EQ(error.number(), EADDRINUSE);
}

}  // namespace
}  // namespace nsrelay
