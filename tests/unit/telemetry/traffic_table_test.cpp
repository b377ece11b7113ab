#include "nsrelay/telemetry/traffic_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace nsrelay {
namespace {

const TrafficKey kWebBlue = {"web", "blue", Protocol::Tcp};
const TrafficKey kWebRed = {"web", "red", Protocol::Tcp};
const TrafficKey kDnsBlue = {"dns", "blue", Protocol::Udp};

TEST(TrafficTable, GivesTheSameCountersForTheSameKey) {
  TrafficTable table;
  const auto counters = table.counters_of(kWebBlue);
  EXPECT_EQ(table.counters_of(kWebBlue), counters);
  EXPECT_NE(table.counters_of(kWebRed), counters);
  EXPECT_NE(table.counters_of({"web", "blue", Protocol::Udp}), counters);
}

TEST(TrafficTable, KeepsWhatIsShared) {
  TrafficTable table;
  const auto counters = table.counters_of(kWebBlue);
  counters->connections_total = 3;
  table.prune();
  EXPECT_EQ(table.counters_of(kWebBlue)->connections_total, 3U);
  ASSERT_EQ(table.series().size(), 1U);
  EXPECT_EQ(table.series()[0].key, kWebBlue);
  EXPECT_EQ(table.series()[0].counters, counters);
}

TEST(TrafficTable, ListsNothingThatNobodySharesAnyMore) {
  TrafficTable table;
  const auto stays = table.counters_of(kWebBlue);
  table.counters_of(kWebRed);
  EXPECT_EQ(table.series().size(), 1U);  // before it was pruned, too
  table.prune();
  EXPECT_EQ(table.series().size(), 1U);
}

TEST(TrafficTable, CountersThatComeAgainBeginWithZero) {
  TrafficTable table;
  table.counters_of(kWebBlue)->connections_total = 3;
  table.prune();
  EXPECT_EQ(table.counters_of(kWebBlue)->connections_total, 0U);
}

TEST(TrafficTable, TotalsNeverGoBackwards) {
  TrafficTable table;
  auto gone = table.counters_of(kWebBlue);
  const auto stays = table.counters_of(kDnsBlue);
  *gone = {.connections_total = 3, .bytes_received = 100, .bytes_sent = 10};
  ++gone->connections_failed[Reason::ConnectRefused];
  ++gone->connections_failed[Reason::Denied];
  *stays = {.connections_total = 4, .connections_active = 1, .bytes_received = 1};
  const TrafficTotals wanted = {1, 7, 2, 101, 10};
  EXPECT_EQ(table.totals(), wanted);
  gone.reset();
  EXPECT_EQ(table.totals(), wanted);
  table.prune();
  EXPECT_EQ(table.totals(), wanted);
  table.counters_of(kWebBlue)->connections_total = 1;
  EXPECT_EQ(table.totals().connections_total, 8U);
}

TEST(TrafficTable, TotalsOfARuleAreOfAllItsNamespacesThoseThatAreGoneIncluded) {
  TrafficTable table;
  table.counters_of(kWebBlue)->connections_total = 3;
  table.prune();
  const auto red = table.counters_of(kWebRed);
  red->connections_total = 4;
  const auto dns = table.counters_of(kDnsBlue);
  dns->connections_total = 5;
  auto by_rule = table.totals_by_rule();
  EXPECT_EQ(by_rule["web"].connections_total, 7U);
  EXPECT_EQ(by_rule["dns"].connections_total, 5U);
}

TEST(TrafficTable, ForgetsTheSumsOfRulesThatAreGoneAndKeepsTheTotal) {
  TrafficTable table;
  table.counters_of(kWebBlue)->connections_total = 3;
  table.counters_of(kDnsBlue)->connections_total = 4;
  table.prune();
  table.forget_rules_but({"dns"});
  EXPECT_FALSE(table.totals_by_rule().contains("web"));
  EXPECT_EQ(table.totals_by_rule()["dns"].connections_total, 4U);
  EXPECT_EQ(table.totals().connections_total, 7U);
}

TEST(TrafficTable, ThousandsOfNamespacesThatCameAndWentLeaveNoSeries) {
  TrafficTable table;
  for (int i = 0; i < 5000; ++i) {
    table.counters_of({"web", "ns" + std::to_string(i), Protocol::Tcp})->connections_total = 1;
    table.prune();
  }
  EXPECT_TRUE(table.series().empty());
  EXPECT_EQ(table.totals_by_rule().size(), 1U);
  EXPECT_EQ(table.totals().connections_total, 5000U);
}

}  // namespace
}  // namespace nsrelay
