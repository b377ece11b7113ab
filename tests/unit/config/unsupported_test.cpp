#include "unsupported.hpp"

#include "config_test_support.hpp"

namespace nsrelay {
namespace {

struct Case {
  std::string text;
  std::string what;
};

void PrintTo(const Case& one, std::ostream* out) {
  *out << one.what;
}

/// When an issue delivers one of these, its row goes, together with its line in unsupported.cpp.
class Unsupported : public testing::TestWithParam<Case> {};

TEST_P(Unsupported, IsAnErrorAtItsValueInThisBuildOnly) {
  EXPECT_THAT(faults_of(GetParam().text, Support::ThisBuild),
              testing::ElementsAre(GetParam().what + ": not supported by this build"));
  EXPECT_THAT(faults_of(GetParam().text, Support::Everything), testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(All, Unsupported,
                         testing::Values(Case{"log: {target: journal}\n" + rule_with(""),
                                              "1:15: log.target journal"}));

TEST(Supported, AreTheDefaultsOfWhatIsNotAndTheForwardingOfEveryProtocol) {
  const std::string text =
      "log: {target: stderr}\ncontrol: {socket: ''}\n" +
      upstream_with(
          "balance: source_hash\n    proxy_protocol: v2\n    health: {interval: 5s}\n"
          "    netns: same\n    source: 10.0.0.0/24\n  on_netns_delete: close\n"
          "  accept_proxy: true\n  per_source: {rate: 5/s, connections: 5}\n  protocol: tcp\n"
          "  netns: [default, a, /x/y, 'pid:7']\n  mptcp: true\n  congestion: bbr\n");
  EXPECT_THAT(faults_of(text, Support::ThisBuild), testing::IsEmpty());
  EXPECT_THAT(faults_of(rule_with("protocol: udp\n  session_timeout: 5s\n  max_sessions: 9"),
                        Support::ThisBuild),
              testing::IsEmpty());
  EXPECT_THAT(
      faults_of("rules:\n- {name: a, protocol: sctp, listen: '10.0.0.1+10.0.0.2:5', upstream: "
                "'10.1.0.1+10.1.0.2:5', max_message: 1MiB, idle_timeout: 5m}\n",
                Support::ThisBuild),
      testing::IsEmpty());
  const std::string targets =
      "rules:\n- {name: a, listen: '*:80', upstream: [10.0.0.1:80, 'app.{netns}:80', "
      "'unix:/run/{netns}', {address: 'h:1', weight: 2, backup: true}]}\n";
  EXPECT_THAT(faults_of(targets, Support::ThisBuild), testing::IsEmpty());
}

TEST(Unsupported, IsReportedBesidesOtherFaults) {
  EXPECT_THAT(
      faults_of("log: {target: journal}\n" + rule_with("max_message: 5KiB"), Support::ThisBuild),
      testing::ElementsAre("1:15: log.target journal: not supported by this build",
                           "6:3: max_message: only for protocol sctp"));
}

}  // namespace
}  // namespace nsrelay
