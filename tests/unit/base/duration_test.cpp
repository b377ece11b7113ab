#include "nsrelay/base/duration.hpp"

#include <gtest/gtest.h>

#include "nsrelay/base/timeout.hpp"

namespace nsrelay {
namespace {

struct Case {
  std::string_view text;
  Duration::rep milliseconds;
};

class ValidDuration : public testing::TestWithParam<Case> {};

TEST_P(ValidDuration, IsRead) {
  const auto duration = parse_duration(GetParam().text);
  ASSERT_TRUE(duration) << duration.error().message();
  EXPECT_EQ(duration->count(), GetParam().milliseconds);
}

INSTANTIATE_TEST_SUITE_P(Units, ValidDuration,
                         testing::Values(Case{"250ms", 250}, Case{"5s", 5000}, Case{"2m", 120000},
                                         Case{"1h", 3600000}, Case{"0s", 0}));

class InvalidDuration : public testing::TestWithParam<std::string_view> {};

TEST_P(InvalidDuration, IsRefusedWithTheAllowedForms) {
  EXPECT_FALSE(parse_duration(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Forms, InvalidDuration,
                         testing::Values("", "5", "s", "-5s", "5 s", "5d", "1.5s", "5S",
                                         "99999999999999999999s", "9223372036854775807h"));

TEST(Duration, ABareNumberIsAnErrorThatAsksForTheUnit) {
  EXPECT_EQ(parse_duration("5").error().message(),
            "a unit is missing; expected a duration such as 250ms, 5s, 2m or 1h");
}

TEST(Duration, IsWrittenInTheLargestUnitThatFits) {
  EXPECT_EQ(format_duration(Duration(0)), "0s");
  EXPECT_EQ(format_duration(Duration(90'000)), "90s");
  EXPECT_EQ(format_duration(Duration(3'600'000)), "1h");
  EXPECT_EQ(format_duration(Duration(1'250)), "1250ms");
}

TEST(Timeout, IsADurationThatTimersTake) {
  EXPECT_EQ(parse_timeout("0s").value(), Duration(0));
  EXPECT_EQ(parse_timeout("596h").value(), kLongestTimeout);
  for (const std::string_view text : {"2145600001ms", "3000000h"})
    EXPECT_EQ(parse_timeout(text).error().message(),
              "out of range; allowed: a duration from 0s to 596h");
  EXPECT_EQ(parse_timeout("5").error().message(), parse_duration("5").error().message());
}

}  // namespace
}  // namespace nsrelay
