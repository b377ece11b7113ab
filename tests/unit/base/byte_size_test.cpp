#include "nsrelay/base/byte_size.hpp"

#include <gtest/gtest.h>

namespace nsrelay {
namespace {

TEST(ByteSize, IsReadWithItsUnit) {
  EXPECT_EQ(parse_byte_size("64KiB")->bytes, 65536U);
  EXPECT_EQ(parse_byte_size("1MiB")->bytes, 1048576U);
  EXPECT_EQ(parse_byte_size("2GiB")->bytes, 2147483648U);
  EXPECT_EQ(parse_byte_size("12B")->bytes, 12U);
}

TEST(ByteSize, ABareNumberOrADecimalUnitIsRefused) {
  for (std::string_view text : {"64", "64KB", "64k", "KiB", "-1KiB", "99999999999GiB"})
    EXPECT_FALSE(parse_byte_size(text)) << text;
}

TEST(ByteSize, IsWrittenInTheLargestUnitThatFits) {
  EXPECT_EQ(format_byte_size({262144}), "256KiB");
  EXPECT_EQ(format_byte_size({1000}), "1000B");
  EXPECT_EQ(format_byte_size({0}), "0B");
}

}  // namespace
}  // namespace nsrelay
