#include "forwarding_loops.hpp"

#include "config_test_support.hpp"

namespace nsrelay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string one_rule(const std::string& keys) {
  return "rules:\n- {name: one, " + keys + "}\n";
}

std::string and_two(const std::string& keys) {
  return "- {name: two, " + keys + "}\n";
}

TEST(ForwardingLoop, OfOneRuleWithItselfIsAFault) {
  EXPECT_THAT(faults_of(one_rule("listen: '127.0.0.1:80', upstream: '127.0.0.1:80'")),
              ElementsAre("2:49: upstream: forwarding loop: rule 'one' -> rule 'one' (127.0.0.1 "
                          "port 80 is a listener of the latter)"));
}

TEST(ForwardingLoop, ThroughAnotherRuleNamesBoth) {
  EXPECT_THAT(faults_of(one_rule("listen: '10.0.0.1:80', upstream: '127.0.0.1:81'") +
                        and_two("listen: '*:81', upstream: '10.0.0.1:80'")),
              ElementsAre("3:41: upstream: forwarding loop: rule 'one' -> rule 'two' -> rule 'one' "
                          "(10.0.0.1 port 80 is a listener of the latter)"));
}

TEST(ForwardingLoop, WithinEachNamespaceIsFound) {
  const std::string loop = "netns: [a, b], listen: '*:80', upstream: {targets: '[::1]:80', netns: ";
  EXPECT_THAT(faults_of(one_rule(loop + "same}")), testing::SizeIs(1));
  EXPECT_THAT(faults_of(one_rule(loop + "/run/netns/b}")), testing::SizeIs(1));
  EXPECT_THAT(faults_of(one_rule(loop + "default}")), IsEmpty());
}

TEST(ForwardingLoop, OfOnePortOfARangeIsFound) {
  EXPECT_THAT(faults_of(one_rule("listen: '127.0.0.1:1000-1009', upstream: '127.0.0.1:1000-1009'")),
              testing::SizeIs(1));
  EXPECT_THAT(faults_of(one_rule("listen: '127.0.0.1:1000-1009', upstream: '127.0.0.1:1010-1019'")),
              IsEmpty());
}

TEST(ForwardingLoop, IsNotAChainThatEnds) {
  EXPECT_THAT(faults_of(one_rule("listen: '127.0.0.1:80', upstream: '127.0.0.1:81'") +
                        and_two("listen: '127.0.0.1:81', upstream: '127.0.0.1:82'")),
              IsEmpty());
}

TEST(ForwardingLoop, IsNotAnAddressThatMayBeElsewhere) {
  EXPECT_THAT(faults_of(one_rule("listen: '*:80', upstream: '10.0.0.5:80'")), IsEmpty());
  EXPECT_THAT(faults_of(one_rule("listen: '10.0.0.1:80', upstream: '127.0.0.1:80'")), IsEmpty());
}

TEST(ForwardingLoop, AmongManyRulesIsFoundInTime) {
  std::string text = "rules:\n";
  for (int port = 1; port <= 1500; ++port)
    text += "- {name: r" + std::to_string(port) + ", listen: '127.0.0.1:" + std::to_string(port) +
            "', upstream: '127.0.0.1:" + std::to_string(port % 1500 + 1) + "'}\n";
  EXPECT_THAT(faults_of(text), testing::SizeIs(1));
}

}  // namespace
}  // namespace nsrelay
