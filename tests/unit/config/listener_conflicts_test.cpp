#include "listener_conflicts.hpp"

#include "config_test_support.hpp"

namespace nsrelay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

/// Two rules on lines 2 and 3, given by what they have besides name and upstream.
std::string two_rules(std::string_view first, std::string_view second) {
  std::string text = "rules:\n- {name: one, upstream: 'h:1', ";
  return text.append(first)
      .append("}\n- {name: two, upstream: 'h:1', ")
      .append(second)
      .append("}\n");
}

struct Pair {
  std::string_view first;
  std::string_view second;
};

void PrintTo(const Pair& pair, std::ostream* out) {
  *out << pair.first << " and " << pair.second;
}

class SameListener : public testing::TestWithParam<Pair> {};

TEST_P(SameListener, IsAConflictInEitherOrder) {
  const auto [first, second] = GetParam();
  EXPECT_THAT(faults_of(two_rules(first, second)),
              ElementsAre(testing::HasSubstr(" conflicts with rule 'one' (line 2)")));
  EXPECT_THAT(faults_of(two_rules(second, first)),
              ElementsAre(testing::HasSubstr(" conflicts with rule 'one' (line 2)")));
}

INSTANTIATE_TEST_SUITE_P(
    All, SameListener,
    testing::Values(Pair{"listen: '0.0.0.0:80'", "listen: '0.0.0.0:80'"},
                    Pair{"listen: '*:80'", "listen: '*:80'"},
                    Pair{"listen: '*:80'", "listen: '0.0.0.0:80'"},
                    Pair{"listen: '*:80'", "listen: '[::]:80'"},
                    Pair{"listen: '10.0.0.1:80'", "listen: '10.0.0.1:79-81'"},
                    Pair{"listen: '10.0.0.1:1-100'", "listen: '10.0.0.1:100-200'"},
                    Pair{"listen: '*:80', netns: a", "listen: '*:80', netns: [b, a]"},
                    Pair{"listen: '*:80', netns: a1", "listen: '*:80', netns: 'a*'"},
                    Pair{"listen: '*:80', netns: 'a*'", "listen: '*:80', netns: 'a*'"},
                    Pair{"listen: '*:80', netns: a", "listen: '*:80', netns: /run/netns/a"},
                    Pair{"listen: '*:80', netns: a", "listen: '*:80', netns: /var/run/netns/a"},
                    Pair{"listen: '*:80', netns: /x/a", "listen: '*:80', netns: '/x/*'"},
                    Pair{"listen: '*:80', netns: 'pid:7'", "listen: '*:80', netns: 'pid:7'"},
                    Pair{"listen: '*:80', bind_device: e", "listen: '*:80', bind_device: e"},
                    Pair{"listen: '10.0.0.1+10.0.0.2:5', protocol: sctp",
                         "listen: '10.0.0.2+10.0.0.3:5', protocol: sctp"},
                    Pair{"listen: '[fe80::1%e]:5'", "listen: '[fe80:0::1%e]:5'"}));

class OtherListener : public testing::TestWithParam<Pair> {};

TEST_P(OtherListener, IsNoConflict) {
  EXPECT_THAT(faults_of(two_rules(GetParam().first, GetParam().second)), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    All, OtherListener,
    testing::Values(Pair{"listen: '0.0.0.0:80'", "listen: '0.0.0.0:81'"},
                    Pair{"listen: '0.0.0.0:80'", "listen: '10.0.0.1:80'"},
                    Pair{"listen: '0.0.0.0:80'", "listen: '[::]:80'"},
                    Pair{"listen: '*:1-9'", "listen: '*:10-19'"},
                    Pair{"listen: '*:80'", "listen: '*:80', protocol: udp"},
                    Pair{"listen: '*:80'", "listen: '*:80', netns: a"},
                    Pair{"listen: '*:80', netns: b", "listen: '*:80', netns: 'a*'"},
                    Pair{"listen: '*:80', netns: default", "listen: '*:80', netns: '*'"},
                    Pair{"listen: '*:80', netns: /x/y/a", "listen: '*:80', netns: '/x/*'"},
                    Pair{"listen: '*:80', bind_device: e", "listen: '*:80', bind_device: f"},
                    Pair{"listen: '[fe80::1%e]:5'", "listen: '[fe80::1%f]:5'"}));

TEST(ListenerConflict, NamesBothRulesTheListenerAndTheFirstLine) {
  EXPECT_THAT(faults_of(two_rules("listen: '*:80-90', netns: a", "listen: '*:85', netns: [b, a]")),
              ElementsAre("3:40: listen: rule 'two': *:85 in netns 'a' conflicts with rule 'one' "
                          "(line 2)"));
}

TEST(ListenerConflict, WithinOneRuleIsFoundToo) {
  EXPECT_THAT(faults_of("rules:\n- name: a\n  upstream: h:1\n  listen:\n  - 10.0.0.1:80\n"
                        "  - 10.0.0.1:1-100\n"),
              ElementsAre("6:5: listen: rule 'a': 10.0.0.1:1-100 in netns 'default' is listed "
                          "twice in this rule (first at line 5)"));
}

TEST(ListenerConflict, ARuleMayNameANamespaceThatItAlsoMatches) {
  EXPECT_THAT(faults_of("rules:\n- {name: a, upstream: 'h:1', listen: '*:80', netns: [a1, 'a*']}"),
              IsEmpty());
}

TEST(ListenerConflict, ARuleMayNameANamespaceInTwoWays) {
  const std::string rule = "rules:\n- {name: a, upstream: 'h:1', listen: '*:80', netns: ";
  EXPECT_THAT(faults_of(rule + "[a, /run/netns/a, /var/run/netns/a]}"), IsEmpty());
  EXPECT_THAT(faults_of(rule + "[a, a]}"), SizeIs(1));
}

TEST(ListenerConflict, OfRulesThatShareManyNamespacesIsOneFault) {
  EXPECT_THAT(
      faults_of(two_rules("listen: '*:80', netns: [a, b, c]", "listen: '*:80', netns: [c, b, a]")),
      SizeIs(1));
}

TEST(ListenerConflict, EveryRuleInsideALongRangeIsReported) {
  EXPECT_THAT(faults_of("rules:\n- {name: a, upstream: 'h:1', listen: '*:1-1000'}\n"
                        "- {name: b, upstream: 'h:1', listen: '*:5'}\n"
                        "- {name: c, upstream: 'h:1', listen: '*:7'}\n"),
              SizeIs(2));
}

std::string many_rules(int count) {
  std::string text = "rules:\n";
  for (int i = 0; i < count; ++i) {
    const std::string number = std::to_string(i);
    text.append("- {name: r").append(number).append(", upstream: 'h:1', netns: n").append(number);
    text.append(", listen: '0.0.0.0:1-65535'}\n");
  }
  return text;
}

TEST(ListenerConflict, TenThousandRulesWithAllPortsTakeNoTime) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(faults_of(many_rules(10'000)), IsEmpty());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(ListenerConflict, MoreListenersThanCanBeMeantAreRefused) {
  std::string list = "[";
  for (int i = 1; i <= 1001; ++i)
    list.append(i == 1 ? "" : ",").append("'10.0.0.1:").append(std::to_string(i)).append("'");
  std::string names = "[";
  for (int i = 1; i <= 1001; ++i)
    names.append(i == 1 ? "n" : ",n").append(std::to_string(i));
  EXPECT_THAT(faults_of("rules:\n- {name: a, upstream: 'h:1', listen: " + list +
                        "], netns: " + names + "]}\n"),
              ElementsAre("2:3: too many listeners; allowed: at most 1000000 pairs of netns and "
                          "listen in the file"));
}

}  // namespace
}  // namespace nsrelay
