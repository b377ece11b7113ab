#include "nsrelay/upstream/source_pool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace nsrelay {
namespace {

using testing::ElementsAre;

SourcePool make_pool(std::initializer_list<std::string_view> networks) {
  std::vector<IpNetwork> parsed;
  for (const std::string_view network : networks)
    parsed.push_back(*IpNetwork::parse(network));
  return SourcePool(parsed);
}

/// The next `count` addresses of a family.
std::vector<std::string> take(SourcePool& pool, bool v6, int count) {
  std::vector<std::string> taken;
  for (int i = 0; i < count; ++i)
    if (const auto address = pool.next(v6))
      taken.push_back(address->to_string());
  return taken;
}

TEST(SourcePool, WithoutAddressesIsEmpty) {
  SourcePool pool = make_pool({});
  EXPECT_TRUE(pool.empty());
  EXPECT_EQ(pool.size(false), 0U);
  EXPECT_FALSE(pool.next(false));
  EXPECT_FALSE(pool.next(true));
}

TEST(SourcePool, GivesOneAddressOut) {
  SourcePool pool = make_pool({"192.0.2.7"});
  EXPECT_FALSE(pool.empty());
  EXPECT_EQ(pool.size(false), 1U);
  EXPECT_THAT(take(pool, false, 2), ElementsAre("192.0.2.7", "192.0.2.7"));
}

TEST(SourcePool, GivesAddressesOutInTurn) {
  SourcePool pool = make_pool({"192.0.2.1", "192.0.2.9"});
  EXPECT_THAT(take(pool, false, 3), ElementsAre("192.0.2.1", "192.0.2.9", "192.0.2.1"));
}

TEST(SourcePool, CountsEveryAddressOfANetworkItsFirstAndLastToo) {
  SourcePool pool = make_pool({"192.0.2.254/31", "10.0.0.252/30"});
  EXPECT_EQ(pool.size(false), 6U);
  EXPECT_THAT(take(pool, false, 7),
              ElementsAre("192.0.2.254", "192.0.2.255", "10.0.0.252", "10.0.0.253", "10.0.0.254",
                          "10.0.0.255", "192.0.2.254"));
}

TEST(SourcePool, CarriesIntoTheNextByte) {
  SourcePool pool = make_pool({"10.0.0.0/23"});
  EXPECT_EQ(pool.size(false), 512U);
  EXPECT_EQ(take(pool, false, 257).back(), "10.0.1.0");
  EXPECT_EQ(take(pool, false, 255).back(), "10.0.1.255");
  EXPECT_EQ(take(pool, false, 1).back(), "10.0.0.0");
}

TEST(SourcePool, CountsAVersionSixNetwork) {
  SourcePool pool = make_pool({"2001:db8::fffe/127", "2001:db8:1::/112"});
  EXPECT_EQ(pool.size(true), 2U + 65536U);
  EXPECT_THAT(take(pool, true, 3), ElementsAre("2001:db8::fffe", "2001:db8::ffff", "2001:db8:1::"));
  EXPECT_EQ(take(pool, true, 65535).back(), "2001:db8:1::ffff");
  EXPECT_EQ(take(pool, true, 1).back(), "2001:db8::fffe");
}

TEST(SourcePool, KeepsTheFamiliesAndTheirTurnsApart) {
  SourcePool pool = make_pool({"192.0.2.1", "2001:db8::1", "192.0.2.2"});
  EXPECT_EQ(pool.size(false), 2U);
  EXPECT_EQ(pool.size(true), 1U);
  EXPECT_THAT(take(pool, false, 1), ElementsAre("192.0.2.1"));
  EXPECT_THAT(take(pool, true, 2), ElementsAre("2001:db8::1", "2001:db8::1"));
  EXPECT_THAT(take(pool, false, 1), ElementsAre("192.0.2.2"));
}

TEST(SourcePool, OfOneFamilyHasNothingForTheOther) {
  SourcePool pool = make_pool({"192.0.2.1"});
  EXPECT_FALSE(pool.empty());
  EXPECT_FALSE(pool.next(true));
}

class SourceUseTest : public testing::Test {
 protected:
  static constexpr TimePoint kNow{std::chrono::hours(1)};

  [[nodiscard]] std::string next(TimePoint now = kNow, bool with_absent = false) {
    const auto address = pool_.next_usable(target_, now, with_absent);
    return address ? address->to_string() : "none";
  }
  static SourceAndTarget pair(std::string_view source) {
    return {*IpAddress::parse(source), target_};
  }
  SourceUse* fill(std::string_view source) {
    SourceUse* use = pool_.take(pair(source));
    pool_.note_full(pair(source), kNow);
    return use;
  }

  inline static const IpEndpoint target_{*IpAddress::parse("10.0.0.5"), 80};
  SourcePool pool_{{*IpNetwork::parse("192.0.2.0/31")}};
};

TEST_F(SourceUseTest, OneThatIsFullIsLeftOutForAMoment) {
  fill("192.0.2.0");
  EXPECT_EQ(next(), "192.0.2.1");
  EXPECT_EQ(next(), "192.0.2.1");
  fill("192.0.2.1");
  EXPECT_EQ(next(), "none");
  EXPECT_NE(next(kNow + SourcePool::kFullPause), "none");
}

TEST_F(SourceUseTest, OneThatGetsAPortBackIsUsedAtOnce) {
  SourceUse* use = fill("192.0.2.0");
  pool_.take(pair("192.0.2.0"));
  fill("192.0.2.1");
  ASSERT_EQ(next(), "none");
  pool_.give_back(use);
  EXPECT_EQ(next(), "192.0.2.0");
}

TEST_F(SourceUseTest, OneThatIsFullTowardsATargetIsNotTowardsAnother) {
  fill("192.0.2.0");
  fill("192.0.2.1");
  EXPECT_TRUE(pool_.next_usable({target_.ip, 81}, kNow, false));
}

TEST_F(SourceUseTest, OneThatIsAbsentIsTriedLast) {
  pool_.note_absent(*IpAddress::parse("192.0.2.1"), kNow);
  EXPECT_EQ(next(), "192.0.2.0");
  EXPECT_EQ(next(), "192.0.2.0");
  fill("192.0.2.0");
  EXPECT_EQ(next(), "none");
  EXPECT_EQ(next(kNow, true), "192.0.2.1");
  EXPECT_EQ(next(kNow + SourcePool::kAbsentPause), "192.0.2.0");
  EXPECT_EQ(next(kNow + SourcePool::kAbsentPause), "192.0.2.1");
}

TEST_F(SourceUseTest, TellsHowFarEachIsUsedUp) {
  pool_.take(pair("192.0.2.0"));
  SourceUse* use = pool_.take(pair("192.0.2.0"));
  SourceUse* other = pool_.take(pair("192.0.2.1"));
  pool_.give_back(use);
  pool_.give_back(other);
  std::vector<std::pair<std::string, std::uint32_t>> uses;
  pool_.for_each_use(
      [&](const SourceUse& one) { uses.emplace_back(one.pair.source.to_string(), one.in_use); });
  EXPECT_EQ(uses, (std::vector<std::pair<std::string, std::uint32_t>>{{"192.0.2.0", 1}}));
}

}  // namespace
}  // namespace nsrelay
