#include "nsrelay/relay/source_limiter.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace nsrelay {
namespace {

using Refusal = SourceLimiter::Refusal;

class SourceLimiterTest : public testing::Test {
 protected:
  SourceLimiter& limiter() {
    if (!limiter_)
      limiter_.emplace(limit_, most_);
    return *limiter_;
  }
  std::optional<Refusal> come(std::string_view client) {
    SourceLease lease;
    const auto refusal = limiter().admit(*IpAddress::parse(client), now_, lease);
    if (!refusal)
      leases_.push_back(std::move(lease));
    return refusal;
  }
  static IpAddress numbered(std::uint32_t number) { return IpAddress(in_addr{htonl(number)}); }

  PerSourceLimit limit_;
  std::size_t most_ = SourceLimiter::kMost;
  TimePoint now_{std::chrono::hours(1)};
  std::optional<SourceLimiter> limiter_;
  std::vector<SourceLease> leases_;
};

TEST_F(SourceLimiterTest, BoundsTheConnectionsOfEachClient) {
  limit_.connections = 2;
  EXPECT_FALSE(come("10.0.0.1"));
  EXPECT_FALSE(come("10.0.0.1"));
  EXPECT_EQ(come("10.0.0.1"), Refusal::Connections);
  EXPECT_FALSE(come("10.0.0.2"));
  leases_.pop_back();
  leases_.pop_back();
  EXPECT_FALSE(come("10.0.0.1"));
  EXPECT_EQ(come("10.0.0.1"), Refusal::Connections);
}

TEST_F(SourceLimiterTest, BoundsTheRateOfEachClient) {
  limit_.rate = 2;
  EXPECT_FALSE(come("10.0.0.1"));
  EXPECT_FALSE(come("10.0.0.1"));
  EXPECT_EQ(come("10.0.0.1"), Refusal::Rate);
  EXPECT_FALSE(come("10.0.0.2"));
  now_ += std::chrono::milliseconds(501);
  EXPECT_FALSE(come("10.0.0.1"));
  EXPECT_EQ(come("10.0.0.1"), Refusal::Rate);
}

TEST_F(SourceLimiterTest, ARefusalForConnectionsCostsNoRate) {
  limit_.connections = 1;
  limit_.rate = 2;
  EXPECT_FALSE(come("10.0.0.1"));
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(come("10.0.0.1"), Refusal::Connections);
  leases_.clear();
  EXPECT_FALSE(come("10.0.0.1"));
}

TEST_F(SourceLimiterTest, CountsNetworksAsOneClient) {
  limit_.connections = 1;
  limit_.prefix4 = 24;
  EXPECT_FALSE(come("10.0.0.1"));
  EXPECT_EQ(come("10.0.0.200"), Refusal::Connections);
  EXPECT_FALSE(come("10.0.1.1"));
  EXPECT_FALSE(come("2001:db8::1"));
  EXPECT_EQ(come("2001:db8::ffff:1"), Refusal::Connections) << "64 bits are the default";
  EXPECT_FALSE(come("2001:db8:0:1::1"));
}

TEST_F(SourceLimiterTest, AnIPv4NetworkIsNotTheIPv6NetworkOfTheSameBits) {
  limit_.connections = 1;
  limit_.prefix4 = 0;
  limit_.prefix6 = 0;
  EXPECT_FALSE(come("10.0.0.1"));
  EXPECT_FALSE(come("2001:db8::1"));
}

TEST_F(SourceLimiterTest, ForgetsWhoHasNoConnectionWhereOnlyTheyCount) {
  limit_.connections = 1;
  come("10.0.0.1");
  EXPECT_EQ(limiter().size(), 1U);
  leases_.clear();
  EXPECT_EQ(limiter().size(), 0U);
}

TEST_F(SourceLimiterTest, ForgetsWhoHasRestedAsOthersCome) {
  limit_.rate = 1;
  for (std::uint32_t i = 0; i < 1000; ++i)
    EXPECT_FALSE(come(numbered(i).to_string()));
  leases_.clear();
  EXPECT_EQ(limiter().size(), 1000U);
  now_ += std::chrono::seconds(2);
  for (std::uint32_t i = 1000; i < 2000; ++i)
    EXPECT_FALSE(come(numbered(i).to_string()));
  EXPECT_EQ(limiter().size(), 1000U);
}

TEST_F(SourceLimiterTest, StaysBoundedInAFlood) {
  limit_.rate = 1;
  most_ = 100;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    EXPECT_FALSE(come(numbered(i).to_string()));
    leases_.clear();
  }
  EXPECT_LE(limiter().size(), 100U);
}

TEST_F(SourceLimiterTest, KeepsWhoHasConnectionsInAFlood) {
  limit_.connections = 1;
  limit_.rate = 5;
  most_ = 100;
  come("192.0.2.1");
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    SourceLease lease;
    EXPECT_FALSE(limiter().admit(numbered(i), now_, lease));
  }
  EXPECT_EQ(come("192.0.2.1"), Refusal::Connections);
  EXPECT_LE(limiter().size(), 101U);
}

}  // namespace
}  // namespace nsrelay
