#include "nsrelay/upstream/balancer.hpp"

#include <gtest/gtest.h>

#include <map>

#include "nsrelay/base/hash.hpp"

namespace nsrelay {
namespace {

constexpr TimePoint kNow{std::chrono::hours(1)};

class BalancerTest : public testing::Test {
 protected:
  void add(std::uint32_t weight = 1, bool backup = false) {
    TargetState& target = targets_.emplace_back();
    target.spec.weight = weight;
    target.spec.backup = backup;
    target.text = "target" + std::to_string(targets_.size());
    target.hash = mix(0, target.text);
  }
  void put_out(std::size_t index) {
    for (int i = 0; i < TargetHealth::kFailures; ++i)
      targets_[index].health.failed(kNow);
  }

  std::size_t choose(Balance balance, const IpAddress& client = {}) {
    const auto chosen = choose_target(balance, targets_, tried_, client, kNow);
    EXPECT_TRUE(chosen);
    return chosen.value_or(99);
  }
  std::string choose_in_turn(int times, Balance balance = Balance::RoundRobin) {
    std::string chosen;
    for (int i = 0; i < times; ++i)
      chosen += static_cast<char>('a' + choose(balance));
    return chosen;
  }
  /// What one connection tries, one after the other.
  std::string try_all(Balance balance) {
    std::string chosen;
    tried_.assign(targets_.size(), false);
    while (const auto one = choose_target(balance, targets_, tried_, {}, kNow)) {
      tried_[*one] = true;
      chosen += static_cast<char>('a' + *one);
    }
    tried_.clear();
    return chosen;
  }

  static IpAddress client(std::uint32_t number) { return IpAddress(in_addr{htonl(number)}); }
  static constexpr std::uint32_t kClients = 20'000;
  std::vector<std::size_t> choices_of_clients() {
    std::vector<std::size_t> choices;
    for (std::uint32_t i = 0; i < kClients; ++i)
      choices.push_back(choose(Balance::SourceHash, client(0x0a000000 + i)));
    return choices;
  }

  std::vector<TargetState> targets_;
  TriedTargets tried_;
};

TEST_F(BalancerTest, RoundRobinTakesEqualTargetsInTurn) {
  add();
  add();
  add();
  EXPECT_EQ(choose_in_turn(7), "abcabca");
}

TEST_F(BalancerTest, RoundRobinSpreadsWeightsSmoothly) {
  add(5);
  add(1);
  add(1);
  EXPECT_EQ(choose_in_turn(14), "aabacaaaabacaa");
}

TEST_F(BalancerTest, TheLargestWeightsDoNotOverflow) {
  for (int i = 0; i < 1000; ++i)
    add(65535);
  std::map<std::size_t, int> counts;
  for (int i = 0; i < 3000; ++i)
    ++counts[choose(Balance::RoundRobin)];
  for (const auto& [index, count] : counts)
    EXPECT_EQ(count, 3) << index;
}

TEST_F(BalancerTest, LeastConnectionsTakesTheOneWithTheFewestPerWeight) {
  add(1);
  add(2);
  add(4);
  targets_[0].active = 1;
  targets_[1].active = 3;
  targets_[2].active = 3;
  EXPECT_EQ(choose(Balance::LeastConnections), 2U);
  targets_[2].active = 5;
  EXPECT_EQ(choose(Balance::LeastConnections), 0U);
}

TEST_F(BalancerTest, LeastConnectionsTakesEqualsInTurn) {
  add();
  add();
  add();
  targets_[1].active = 1;
  EXPECT_EQ(choose_in_turn(4, Balance::LeastConnections), "acac");
}

TEST_F(BalancerTest, SourceHashKeepsAClientAtItsTarget) {
  add();
  add();
  add();
  EXPECT_EQ(choices_of_clients(), choices_of_clients());
}

TEST_F(BalancerTest, SourceHashSpreadsClientsByWeight) {
  add(1);
  add(2);
  add(5);
  std::map<std::size_t, std::uint32_t> counts;
  for (const std::size_t one : choices_of_clients())
    ++counts[one];
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    const double expected = kClients * targets_[i].spec.weight / 8.0;
    EXPECT_NEAR(counts[i], expected, 0.05 * expected) << i;
  }
}

TEST_F(BalancerTest, SourceHashMovesOnlyTheClientsOfATargetThatGoes) {
  for (int i = 0; i < 5; ++i)
    add();
  const auto before = choices_of_clients();
  put_out(2);
  const auto after = choices_of_clients();
  std::map<std::size_t, int> moved_to;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == 2)
      ++moved_to[after[i]];
    else
      EXPECT_EQ(after[i], before[i]);
  }
  EXPECT_EQ(moved_to.size(), 4U);
  targets_[2].health.succeeded();
  EXPECT_EQ(choices_of_clients(), before);
}

TEST_F(BalancerTest, SourceHashDoesNotDependOnTheOrderOfTargets) {
  add();
  add();
  add();
  const auto before = choices_of_clients();
  std::swap(targets_[0], targets_[2]);
  const auto after = choices_of_clients();
  for (std::size_t i = 0; i < before.size(); ++i)
    EXPECT_EQ(after[i], 2 - before[i]);
}

TEST_F(BalancerTest, BackupsComeWhenNoOtherIsUp) {
  add();
  add(1, true);
  add();
  for (const auto balance : {Balance::RoundRobin, Balance::LeastConnections, Balance::SourceHash})
    EXPECT_EQ(choose_in_turn(20, balance).find('b'), std::string::npos);
  put_out(0);
  EXPECT_EQ(choose_in_turn(3), "ccc");
  put_out(2);
  EXPECT_EQ(choose_in_turn(3), "bbb");
}

TEST_F(BalancerTest, OneThatIsOutIsTriedLastAndABackupThatIsOutAfterThat) {
  add(1, true);
  add();
  add(1, true);
  add();
  put_out(0);
  put_out(1);
  for (const auto balance : {Balance::RoundRobin, Balance::LeastConnections, Balance::SourceHash})
    EXPECT_EQ(try_all(balance), "dcba");
}

TEST_F(BalancerTest, WhereAllAreOutAllAreUsed) {
  add();
  add();
  put_out(0);
  put_out(1);
  EXPECT_EQ(choose_in_turn(4), "abab");
}

TEST_F(BalancerTest, NothingIsLeftWhenAllWereTried) {
  add();
  tried_ = {true};
  EXPECT_FALSE(choose_target(Balance::SourceHash, targets_, tried_, {}, kNow));
}

}  // namespace
}  // namespace nsrelay
