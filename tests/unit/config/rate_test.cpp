#include "rate.hpp"

#include "config_test_support.hpp"

namespace nsrelay {
namespace {

TEST(Rate, IsANumberPerSecond) {
  EXPECT_EQ(*parse_rate("1"), 1U);
  EXPECT_EQ(*parse_rate("20/s"), 20U);
  EXPECT_EQ(*parse_rate("2147483647"), 2147483647U);
}

TEST(Rate, IsNothingElse) {
  for (const std::string_view text :
       {"", "0", "/s", "-1", "+1", "01", "1.5", "20/m", "20 /s", "20/s/s", "2147483648", "1e3"})
    EXPECT_FALSE(parse_rate(text)) << text;
}

TEST(Rate, SaysInAFileWhatIsAllowed) {
  EXPECT_THAT(faults_of(rule_with("per_source: {rate: 20/m}")),
              testing::ElementsAre("5:22: per_source.rate: '20/m': not a number per second; "
                                   "allowed: 1 to 2147483647, also written 20/s"));
}

TEST(Health, IsNotForUdp) {
  EXPECT_THAT(faults_of("rules:\n- name: a\n  protocol: udp\n  listen: '*:80'\n  upstream:\n"
                        "    targets: h:1\n    health: {interval: 5s}\n"),
              testing::ElementsAre("7:13: upstream.health: only for protocol tcp, sctp"));
}

}  // namespace
}  // namespace nsrelay
