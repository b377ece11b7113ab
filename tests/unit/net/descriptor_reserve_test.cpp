#include "nsrelay/net/descriptor_reserve.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include "support/system_limits.hpp"

namespace nsrelay {
namespace {

TEST(DescriptorReserve, HoldsOneFromTheStart) {
  const DescriptorReserve reserve;
  EXPECT_TRUE(reserve.is_held());
}

TEST(DescriptorReserve, IsSpentOnce) {
  DescriptorReserve reserve;
  EXPECT_TRUE(reserve.spend());
  EXPECT_FALSE(reserve.is_held());
  EXPECT_FALSE(reserve.spend());
}

TEST(DescriptorReserve, HoldingTwiceTakesOneOnly) {
  DescriptorReserve reserve;
  const test::FewDescriptors limit(0);
  EXPECT_TRUE(reserve.hold());
  EXPECT_TRUE(reserve.is_held());
}

TEST(DescriptorReserve, SpendingMakesRoomForExactlyOne) {
  DescriptorReserve reserve;
  const test::FewDescriptors limit(0);
  EXPECT_LT(::eventfd(0, EFD_CLOEXEC), 0);
  ASSERT_TRUE(reserve.spend());
  const UniqueFd one = UniqueFd::adopt(::eventfd(0, EFD_CLOEXEC));
  EXPECT_TRUE(one);
  EXPECT_FALSE(reserve.hold());
  EXPECT_FALSE(reserve.is_held());
}

TEST(DescriptorReserve, IsHeldAgainWhenThereAreDescriptorsAgain) {
  DescriptorReserve reserve;
  ASSERT_TRUE(reserve.spend());
  {
    const test::FewDescriptors limit(0);
    EXPECT_FALSE(reserve.hold());
  }
  EXPECT_TRUE(reserve.hold());
}

}  // namespace
}  // namespace nsrelay
