#include "nsrelay/relay/rule_runtime.hpp"

#include <gtest/gtest.h>

#include "relay_test.hpp"

namespace nsrelay {
namespace {

struct Waiter {
  void on_room() noexcept { ++calls; }
  Delegate<void()> callback() { return Delegate<void()>::to<&Waiter::on_room>(this); }

  int calls = 0;
};

class RuleRuntimeTest : public test::RelayTest {
 protected:
  /// The pool for the listeners in the namespace of `entry`.
  UpstreamPool* pool_for(const NetnsEntry& entry) {
    return runtime()
        .pool_for(entry,
                  [&] {
                    return std::make_shared<UpstreamPool>(*loop_, rule(), test::borrow(entry),
                                                          entry.name);
                  })
        .get();
  }

  TrafficCounters counters_;
};

TEST_F(RuleRuntimeTest, WithoutALimitHasRoomAlways) {
  for (int i = 0; i < 1000; ++i)
    runtime().connection_began(counters_);
  EXPECT_TRUE(runtime().has_room());
  EXPECT_EQ(runtime().active(), 1000U);
}

TEST_F(RuleRuntimeTest, HasRoomBelowMaxConnections) {
  rule().max_connections = 2;
  runtime().connection_began(counters_);
  EXPECT_TRUE(runtime().has_room());
  runtime().connection_began(counters_);
  EXPECT_FALSE(runtime().has_room());
  runtime().connection_ended(counters_, Reason::ClientClosed);
  EXPECT_TRUE(runtime().has_room());
  EXPECT_EQ(runtime().active(), 1U);
  EXPECT_EQ(counters_.connections_total, 2U);
}

TEST_F(RuleRuntimeTest, CountsWhatBeginsAndEnds) {
  runtime().connection_began(counters_);
  runtime().connection_began(counters_);
  EXPECT_EQ(counters_.connections_active, 2U);
  runtime().connection_ended(counters_, Reason::ClientClosed);
  EXPECT_EQ(counters_.connections_failed.sum(), 0U);
  runtime().connection_ended(counters_, Reason::ConnectRefused);
  EXPECT_EQ(counters_.connections_failed[Reason::ConnectRefused], 1U);
  EXPECT_EQ(counters_.connections_failed.sum(), 1U);
  EXPECT_EQ(counters_.connections_active, 0U);
  EXPECT_EQ(counters_.connections_total, 2U);
}

TEST_F(RuleRuntimeTest, TellsWhoWaitsForRoomOnce) {
  Waiter first;
  Waiter second;
  runtime().connection_began(counters_);
  runtime().connection_began(counters_);
  runtime().when_room(first.callback(), &first);
  runtime().when_room(second.callback(), &second);
  EXPECT_EQ(first.calls, 0);
  runtime().connection_ended(counters_, Reason::ClientClosed);
  EXPECT_EQ(first.calls, 1);
  EXPECT_EQ(second.calls, 1);
  runtime().connection_ended(counters_, Reason::ClientClosed);
  EXPECT_EQ(first.calls, 1);
}

TEST_F(RuleRuntimeTest, TellsOnceWhoAskedTwice) {
  Waiter waiter;
  runtime().connection_began(counters_);
  runtime().when_room(waiter.callback(), &waiter);
  runtime().when_room(waiter.callback(), &waiter);
  runtime().connection_ended(counters_, Reason::ClientClosed);
  EXPECT_EQ(waiter.calls, 1);
}

TEST_F(RuleRuntimeTest, DoesNotTellWhoNoLongerWaits) {
  Waiter gone;
  Waiter stays;
  runtime().connection_began(counters_);
  runtime().when_room(gone.callback(), &gone);
  runtime().when_room(stays.callback(), &stays);
  runtime().no_longer(&gone);
  runtime().no_longer(&gone);
  runtime().connection_ended(counters_, Reason::ClientClosed);
  EXPECT_EQ(gone.calls, 0);
  EXPECT_EQ(stays.calls, 1);
}

TEST_F(RuleRuntimeTest, HasOnePoolForAllNamespaces) {
  rule().upstream.targets = {{.text = "10.0.0.5:80"}};
  const NetnsEntry other{.name = "red", .source = "/run/netns/red"};
  EXPECT_EQ(pool_for(entry_), pool_for(other));
}

TEST_F(RuleRuntimeTest, HasAPoolForEachNamespaceWhereTheTargetsDependOnIt) {
  rule().upstream.targets = {{.text = "unix:/run/{netns}.sock"}};
  const NetnsEntry other{.name = "red", .source = "/run/netns/red"};
  EXPECT_NE(pool_for(entry_), pool_for(other));
  EXPECT_EQ(pool_for(entry_), pool_for(entry_));
}

TEST_F(RuleRuntimeTest, HasAPoolForEachNamespaceThatIsConnectedFrom) {
  rule().upstream.targets = {{.text = "10.0.0.5:80"}};
  rule().upstream.netns = {NetnsSelector::Kind::Same, "same"};
  const NetnsEntry other{.name = "red", .source = "/run/netns/red"};
  EXPECT_EQ(&pool_for(entry_)->netns(), &entry_);
  EXPECT_EQ(&pool_for(other)->netns(), &other);
}

TEST_F(RuleRuntimeTest, KeepsTwoNamespacesApartThatAreCalledTheSame) {
  // `ns1` and `/some/folder/ns1` are both "ns1" in the log.
  rule().upstream.targets = {{.text = "10.0.0.5:80"}};
  rule().upstream.netns = {NetnsSelector::Kind::Same, "same"};
  const NetnsEntry namesake{.name = entry_.name, .source = "/some/folder/blue"};
  EXPECT_EQ(&pool_for(entry_)->netns(), &entry_);
  EXPECT_EQ(&pool_for(namesake)->netns(), &namesake);
}

}  // namespace
}  // namespace nsrelay
