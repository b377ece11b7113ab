#include "nsrelay/upstream/resolver.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nsrelay/netns/netns_scope.hpp"
#include "support/loop_test.hpp"
#include "support/netns_entry.hpp"

namespace nsrelay {
namespace {

/// Somebody who counts how often he is called.
struct Asker {
  void on_resolved() noexcept { ++calls; }

  int calls = 0;
  ResolverWaiter waiter{Delegate<void()>::to<&Asker::on_resolved>(this)};
};

class ResolverTest : public test::LoopTest {
 protected:
  /// A name that /etc/hosts has; no packet is sent.
  static constexpr std::string_view kKnown = "localhost";
  /// A name that only a server could know.
  static constexpr std::string_view kUnknown = "nsrelay-unit.invalid";

  NetnsEntry nowhere_{.name = "nowhere"};
  Resolver resolver_{*loop_, test::borrow(nowhere_)};
};

TEST_F(ResolverTest, KnowsNothingBeforeItIsAsked) {
  EXPECT_EQ(resolver_.known(kKnown), nullptr);
  EXPECT_TRUE(resolver_.addresses_of(kKnown).empty());
}

TEST_F(ResolverTest, AnswersFromEtcHosts) {
  Asker asker;
  resolver_.ask(kKnown, asker.waiter);
  ASSERT_TRUE(run_until([&] { return asker.calls > 0; }));
  EXPECT_THAT(resolver_.addresses_of(kKnown), testing::Contains(*IpAddress::parse("127.0.0.1")));
}

TEST_F(ResolverTest, NeverCallsBackFromInsideAsk) {
  Asker asker;
  resolver_.ask(kKnown, asker.waiter);
  EXPECT_EQ(asker.calls, 0);
  ASSERT_TRUE(run_until([&] { return asker.calls > 0; }));
  settle();
  EXPECT_EQ(asker.calls, 1);
}

TEST_F(ResolverTest, CallsEverybodyWhoWaitsForTheName) {
  Asker first;
  Asker second;
  resolver_.ask(kKnown, first.waiter);
  resolver_.ask(kKnown, second.waiter);
  ASSERT_TRUE(run_until([&] { return first.calls > 0; }));
  EXPECT_EQ(first.calls, 1);
  EXPECT_EQ(second.calls, 1);
}

TEST_F(ResolverTest, DoesNotCallWhoHasCancelledOrIsGone) {
  Asker cancelled;
  auto gone = std::make_unique<Asker>();
  Asker stays;
  resolver_.ask(kKnown, cancelled.waiter);
  resolver_.ask(kKnown, gone->waiter);
  resolver_.ask(kKnown, stays.waiter);
  cancelled.waiter.cancel();
  cancelled.waiter.cancel();
  gone.reset();
  ASSERT_TRUE(run_until([&] { return stays.calls > 0; }));
  EXPECT_EQ(cancelled.calls, 0);
}

TEST_F(ResolverTest, ANameThatCannotBeAskedForIsAFailureAtOnce) {
  Asker asker;
  resolver_.ask(kUnknown, asker.waiter);
  ASSERT_TRUE(run_until([&] { return asker.calls > 0; }));
  EXPECT_TRUE(resolver_.addresses_of(kUnknown).empty());
}

TEST_F(ResolverTest, RemembersAFailureForASecond) {
  Asker asker;
  resolver_.ask(kUnknown, asker.waiter);
  ASSERT_TRUE(run_until([&] { return asker.calls > 0; }));
  ASSERT_NE(resolver_.known(kUnknown), nullptr);
  EXPECT_TRUE(resolver_.known(kUnknown)->empty());
  pass(std::chrono::milliseconds(999));
  EXPECT_NE(resolver_.known(kUnknown), nullptr);
  pass(std::chrono::milliseconds(1));
  EXPECT_EQ(resolver_.known(kUnknown), nullptr);
}

TEST_F(ResolverTest, AnAnswerIsKnownWhileItIsFreshAndUsableAfterwards) {
  Asker asker;
  resolver_.ask(kKnown, asker.waiter);
  ASSERT_TRUE(run_until([&] { return asker.calls > 0; }));
  ASSERT_NE(resolver_.known(kKnown), nullptr);
  EXPECT_FALSE(resolver_.known(kKnown)->empty());
  pass(std::chrono::hours(24));  // the longest that anything is fresh
  EXPECT_EQ(resolver_.known(kKnown), nullptr);
  EXPECT_FALSE(resolver_.addresses_of(kKnown).empty());
}

TEST_F(ResolverTest, CanBeAskedAgainByTheSame) {
  Asker asker;
  for (int round = 1; round <= 2; ++round) {
    resolver_.ask(kKnown, asker.waiter);
    ASSERT_TRUE(run_until([&] { return asker.calls == round; }));
  }
}

}  // namespace
}  // namespace nsrelay
