#include "nsrelay/daemon/listener_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "nsrelay/netns/netns_scope.hpp"
#include "support/netns_test.hpp"

#include "support/netns_entry.hpp"

namespace nsrelay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A configuration, and the namespaces of a host on which one is present: the own one.
class ExpandTest : public testing::Test {
 protected:
  ForwardRule& add_rule(const std::string& name, std::vector<std::string> netns, PortRange ports,
                        std::string_view address = "0.0.0.0") {
    ForwardRule rule;
    rule.name = name;
    rule.netns.clear();
    for (std::string& one : netns)
      rule.netns.push_back({NetnsSelector::Kind::Name, std::move(one)});
    rule.listen = {{.addresses = {{*IpAddress::parse(address), ""}}, .ports = ports}};
    config_.rules.push_back(std::move(rule));
    return config_.rules.back();
  }
  void make_present(const std::string& name) {
    entries_[name].netns = std::move(*Netns::current());
  }

  std::vector<DesiredListener> plan() {
    return expand(config_, [this](const NetnsSelector& selector) {
      NetnsEntry& entry = entries_[selector.text];
      entry.name = netns_display_name(selector);
      entry.source = selector.text;
      return std::vector{test::borrow(entry)};
    });
  }
  /// What is planned, a line each: rule, namespace's name, address.
  std::vector<std::string> lines() {
    std::vector<std::string> lines;
    for (const DesiredListener& one : plan())
      lines.push_back(one.rule->name + " " + one.netns->name + " " + one.key.address +
                      (one.taken_by != nullptr ? " taken by " + one.taken_by->name : ""));
    return lines;
  }

  Config config_;
  std::map<std::string, NetnsEntry> entries_;
};

TEST_F(ExpandTest, OfNothingIsNothing) {
  EXPECT_THAT(plan(), IsEmpty());
}

TEST_F(ExpandTest, AListenerOfAPresentNamespaceIsKnownByItsCookie) {
  make_present("blue");
  const ForwardRule& rule = add_rule("web", {"blue"}, {80, 80});
  const auto planned = plan();
  ASSERT_EQ(planned.size(), 1U);
  EXPECT_EQ(planned[0].key, (ListenerKey{.cookie = home_netns().cookie(),
                                         .absent_netns = "",
                                         .protocol = Protocol::Tcp,
                                         .address = "0.0.0.0:80",
                                         .device = ""}));
  EXPECT_EQ(planned[0].rule, &rule);
  EXPECT_EQ(planned[0].listen, &rule.listen[0]);
  EXPECT_EQ(planned[0].netns.get(), &entries_["blue"]);
  EXPECT_EQ(planned[0].taken_by, nullptr);
}

TEST_F(ExpandTest, AListenerOfAnAbsentNamespaceIsKnownByItsName) {
  add_rule("web", {"blue", "red"}, {80, 80});
  const auto planned = plan();
  ASSERT_EQ(planned.size(), 2U);
  EXPECT_EQ(planned[0].key.cookie, 0U);
  EXPECT_EQ(planned[0].key.absent_netns, "blue");
  EXPECT_EQ(planned[1].key.absent_netns, "red");
}

TEST_F(ExpandTest, TheDeviceIsPartOfTheKey) {
  make_present("blue");
  add_rule("one", {"blue"}, {80, 80});
  config_.rules[0].bind_device = "eth0";
  add_rule("two", {"blue"}, {80, 80});
  EXPECT_THAT(lines(), ElementsAre("one blue 0.0.0.0:80", "two blue 0.0.0.0:80"));
}

TEST_F(ExpandTest, ARangeIsAListenerForEachPortWithItsPlaceInTheRange) {
  make_present("blue");
  add_rule("web", {"blue"}, {65533, 65535});
  EXPECT_THAT(lines(), ElementsAre("web blue 0.0.0.0:65533", "web blue 0.0.0.0:65534",
                                   "web blue 0.0.0.0:65535"));
  EXPECT_EQ(plan()[2].port, 65535);
  EXPECT_EQ(plan()[2].port_offset, 2);
}

TEST_F(ExpandTest, KeepsTheOrderOfTheConfiguration) {
  make_present("blue");
  add_rule("web", {"blue", "absent"}, {80, 80});
  config_.rules[0].listen.push_back(
      {.addresses = {{*IpAddress::parse("::1"), ""}}, .ports = {443, 443}});
  add_rule("dns", {"blue"}, {53, 53});
  EXPECT_THAT(lines(),
              ElementsAre("web blue 0.0.0.0:80", "web blue [::1]:443", "web absent 0.0.0.0:80",
                          "web absent [::1]:443", "dns blue 0.0.0.0:53"));
}

TEST_F(ExpandTest, TwoNamesOfOneNamespaceAreOneListenerUnderTheFirst) {
  make_present("blue");
  make_present("also-blue");
  add_rule("web", {"also-blue", "blue"}, {80, 80});
  EXPECT_THAT(lines(), ElementsAre("web also-blue 0.0.0.0:80"));
}

TEST_F(ExpandTest, AListenerThatTwoRulesWantBelongsToTheFirst) {
  make_present("blue");
  make_present("also-blue");
  add_rule("web", {"blue"}, {80, 80});
  add_rule("other", {"also-blue"}, {80, 80});
  EXPECT_THAT(lines(),
              ElementsAre("web blue 0.0.0.0:80", "other also-blue 0.0.0.0:80 taken by web"));
  const auto planned = plan();
  EXPECT_NE(planned[0].key, planned[1].key);
  EXPECT_EQ(planned[1].key.shadowed_rule, "other");
}

TEST_F(ExpandTest, TwoAbsentNamespacesThatAreCalledTheSameStayApart) {
  config_.rules.resize(1);
  config_.rules[0].name = "web";
  config_.rules[0].netns = {{NetnsSelector::Kind::Name, "blue"},
                            {NetnsSelector::Kind::Path, "/somewhere/blue"}};
  config_.rules[0].listen = {
      {.addresses = {{*IpAddress::parse("0.0.0.0"), ""}}, .ports = {80, 80}}};
  EXPECT_THAT(lines(), ElementsAre("web blue 0.0.0.0:80", "web blue 0.0.0.0:80"));
}

ListenerKey key(std::uint64_t cookie, const std::string& address = "0.0.0.0:80") {
  return {.cookie = cookie,
          .absent_netns = "",
          .protocol = Protocol::Tcp,
          .address = address,
          .device = ""};
}

TEST(Diff, OfEqualSetsIsNothing) {
  const ListenerDiff changes = diff({key(1), key(2)}, {key(1), key(2)});
  EXPECT_THAT(changes.open, IsEmpty());
  EXPECT_THAT(changes.close, IsEmpty());
}

TEST(Diff, OpensWhatIsOnlyDesiredAndClosesWhatIsOnlyActual) {
  const ListenerDiff changes = diff({key(1), key(2), key(4)}, {key(2), key(3)});
  EXPECT_THAT(changes.open, ElementsAre(key(3)));
  EXPECT_THAT(changes.close, ElementsAre(key(1), key(4)));
}

TEST(Diff, FromNothingOpensAllAndToNothingClosesAll) {
  EXPECT_THAT(diff({}, {key(1), key(2)}).open, ElementsAre(key(1), key(2)));
  EXPECT_THAT(diff({key(1), key(2)}, {}).close, ElementsAre(key(1), key(2)));
}

TEST(Diff, ANamespaceMadeAgainClosesTheOldAndOpensTheNew) {
  const ListenerDiff changes = diff({key(17)}, {key(18)});
  EXPECT_THAT(changes.close, ElementsAre(key(17)));
  EXPECT_THAT(changes.open, ElementsAre(key(18)));
}

TEST(Diff, EachPartOfTheKeyCounts) {
  const ListenerKey base = key(1);
  std::vector<ListenerKey> others(5, base);
  others[0].absent_netns = "blue";
  others[1].protocol = Protocol::Udp;
  others[2].address = "0.0.0.0:81";
  others[3].device = "eth0";
  others[4].shadowed_rule = "web";
  for (const ListenerKey& other : others)
    EXPECT_THAT(diff({base}, {other}).open, ElementsAre(other)) << other.address;
}

}  // namespace
}  // namespace nsrelay
