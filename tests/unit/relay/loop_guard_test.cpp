#include "nsrelay/relay/loop_guard.hpp"

#include <gtest/gtest.h>

#include "relay/relay_test.hpp"

namespace nsrelay {
namespace {

constexpr std::uint64_t kHere = 7;
constexpr std::uint64_t kElsewhere = 8;

IpEndpoint at(const std::string& address, int port) {
  return {*IpAddress::parse(address), static_cast<std::uint16_t>(port)};
}

/// What one connection of a chain is like; by default all is in one namespace, on the loopback.
struct LinkSpec {
  std::shared_ptr<const ListenerInfo> listener;
  IpEndpoint peer;
  IpEndpoint upstream;
  IpEndpoint local = at("127.0.0.1", 8000);   ///< what the client is connected to
  IpEndpoint target = at("127.0.0.1", 8000);  ///< what the upstream is connected to
  std::uint64_t upstream_cookie = kHere;
  TimePoint began{};
  std::optional<IpEndpoint> second_address = std::nullopt;  ///< of the upstream
};

class Link final : public Forwarded {
 public:
  Link(ConnectionTable& table, RuleRuntime& runtime, LinkSpec spec)
      : table_(table), runtime_(runtime), spec_(std::move(spec)) {}

  void end(Reason reason) override {
    EXPECT_EQ(reason, Reason::ForwardingLoop);
    table_.take(*this);
  }
  [[nodiscard]] const ListenerInfo& listener() const override { return *spec_.listener; }
  [[nodiscard]] RuleRuntime& runtime() const override { return runtime_; }
  [[nodiscard]] std::uint64_t upstream_cookie() const override { return spec_.upstream_cookie; }
  [[nodiscard]] ForwardedStatus status() const override { return {}; }
  [[nodiscard]] TimePoint began() const override { return spec_.began; }
  [[nodiscard]] IpEndpoint peer() const override { return spec_.peer; }
  [[nodiscard]] std::optional<IpEndpoint> upstream_local() const override { return spec_.upstream; }
  [[nodiscard]] SocketEnds client_ends() const override { return {{spec_.local}, {spec_.peer}}; }
  [[nodiscard]] SocketEnds upstream_ends() const override {
    SocketEnds ends{{spec_.upstream}, {spec_.target}};
    if (spec_.second_address)
      ends.local.push_back(*spec_.second_address);
    return ends;
  }

 private:
  ConnectionTable& table_;
  RuleRuntime& runtime_;
  LinkSpec spec_;
};

class LoopGuardTest : public test::RelayTest {
 protected:
  static constexpr int kMost = kMostReturns;
  static constexpr const char* kNear = "10.0.0.1";  ///< across a veth pair
  static constexpr const char* kFar = "10.0.0.2";

  void add(const LinkSpec& spec) { add(spec, runtime()); }
  void add(const LinkSpec& spec, RuleRuntime& runtime) {
    table_.add(std::make_unique<Link>(table_, runtime, spec));
  }
  /// The link whose client has port `number` and whose upstream has the next one.
  [[nodiscard]] LinkSpec on_loopback(int number) const {
    return {here_, at("127.0.0.1", number), at("127.0.0.1", number + 1)};
  }
  /// The same, where the upstream is connected to from another namespace.
  [[nodiscard]] LinkSpec across(int number) const {
    return {
        here_, at(kFar, number), at(kFar, number + 1), at(kNear, 8000), at(kNear, 8000), kElsewhere,
        time_};
  }
  template <typename Make>
  void add_chain(int count, Make make) {
    for (int i = 1; i <= count; ++i)
      add(make(i));
  }
  /// Links of many more clients, so that it is time to look.
  void add_others(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
      add({here_, at("192.0.2.1", static_cast<int>(i) + 1), at("192.0.2.9", 1)});
  }

  [[nodiscard]] bool breaks(const IpEndpoint& peer,
                            const IpEndpoint& local = at("127.0.0.1", 8000)) {
    return breaks_at(*here_, peer, local);
  }
  [[nodiscard]] bool breaks_at(const ListenerInfo& listener, const IpEndpoint& peer,
                               const IpEndpoint& local) {
    return guard_.breaks_loop({listener, runtime(), peer, {local}}, time_);
  }

  ConnectionTable table_;
  LoopGuard guard_{table_, log_.log()};
  std::shared_ptr<const ListenerInfo> here_ = listener_info();
  std::shared_ptr<const ListenerInfo> other_ =
      std::make_shared<const ListenerInfo>(ListenerInfo{"blue", kHere, "0.0.0.0:8001", 0});
};

TEST_F(LoopGuardTest, EndsACircleAndRefusesTheNewcomer) {
  add_chain(kMost, [this](int i) { return on_loopback(i); });
  add(on_loopback(5000));
  EXPECT_TRUE(breaks(at("127.0.0.1", kMost + 1)));
  EXPECT_EQ(table_.size(), 1U) << "who has no part in it stays";
  EXPECT_TRUE(log_.contains("reason=forwarding_loop"));
}

TEST_F(LoopGuardTest, LeavesAShorterChainAlone) {
  add_chain(kMost - 2, [this](int i) { return on_loopback(i); });
  EXPECT_FALSE(breaks(at("127.0.0.1", kMost - 1)));
  EXPECT_EQ(table_.size(), static_cast<std::size_t>(kMost - 2));
}

TEST_F(LoopGuardTest, FindsACircleThatTheNewcomerHasNoPartIn) {
  add_chain(kMost, [this](int i) { return on_loopback(i); });
  EXPECT_FALSE(breaks(at("192.0.2.1", 5000)));
  EXPECT_EQ(table_.size(), 0U);
}

TEST_F(LoopGuardTest, NamesBothRulesOfACircleAndEndsWhatCameToOneOfThem) {
  ForwardRule second = rule();
  second.name = "second";
  RuleRuntime second_runtime(second);
  for (int i = 1; i <= 2 * kMost; ++i) {
    LinkSpec link = on_loopback(i);
    link.local.port = i % 2 == 0 ? 8001 : 8000;
    link.target.port = i % 2 == 0 ? 8000 : 8001;
    link.listener = i % 2 == 0 ? other_ : here_;
    add(link, i % 2 == 0 ? second_runtime : runtime());
  }
  EXPECT_TRUE(breaks(at("127.0.0.1", 2 * kMost + 1)));
  EXPECT_EQ(table_.size(), static_cast<std::size_t>(kMost)) << "the rest ends by their resets";
  table_.for_each([this](Forwarded& one) { EXPECT_EQ(&one.listener(), other_.get()); });
  EXPECT_TRUE(log_.contains("rule=web"));
  EXPECT_TRUE(log_.contains("from_rule=second"));
}

TEST_F(LoopGuardTest, OneEndInCommonIsNotTheSameConnection) {
  // Clients and upstreams of the loopback share the ports that the kernel chooses from.
  add_chain(3 * kMost, [this](int i) {
    LinkSpec link = on_loopback(i);
    link.target.port = 9000;
    return link;
  });
  EXPECT_FALSE(breaks(at("127.0.0.1", 3 * kMost + 1)));
}

TEST_F(LoopGuardTest, KnowsARedirectedClientByItsOriginalDestination) {
  add_chain(kMost, [this](int i) {
    LinkSpec link = on_loopback(i);
    link.target = link.local = at(kNear, 80);
    return link;
  });
  const Newcomer newcomer{
      *here_, runtime(), at("127.0.0.1", kMost + 1), {at("127.0.0.1", 8000), at(kNear, 80)}};
  EXPECT_TRUE(guard_.breaks_loop(newcomer, time_));
}

TEST_F(LoopGuardTest, AUdpSocketHasItsPortAlone) {
  rule().protocol = Protocol::Udp;
  add_chain(kMost, [this](int i) {
    LinkSpec link = on_loopback(i);
    link.target = at(kNear, 53);  // a firewall leads it here
    return link;
  });
  EXPECT_TRUE(breaks(at("127.0.0.1", kMost + 1)));
}

TEST_F(LoopGuardTest, FindsAnSctpUpstreamByAnyOfItsAddresses) {
  rule().protocol = Protocol::Sctp;
  add_chain(kMost - 1, [this](int i) {
    LinkSpec link = on_loopback(i);
    link.second_address = at(kNear, i + 1);
    return link;
  });
  EXPECT_FALSE(breaks(at(kFar, kMost))) << "it has not this address";
  EXPECT_TRUE(breaks(at(kNear, kMost)));
}

TEST_F(LoopGuardTest, ProtocolsHavePortsOfTheirOwn) {
  ForwardRule datagrams = rule();
  datagrams.protocol = Protocol::Udp;
  RuleRuntime udp(datagrams);
  for (int i = 1; i <= kMost; ++i)
    add(on_loopback(i), udp);
  EXPECT_FALSE(breaks(at("127.0.0.1", kMost + 1)));
  EXPECT_TRUE(log_.contains("protocol=udp")) << "which is a circle, and not the newcomer's";
}

TEST_F(LoopGuardTest, FollowsACircleThroughAnotherNamespace) {
  add_chain(kMost, [this](int i) { return across(i); });
  EXPECT_TRUE(breaks(at(kFar, kMost + 1), at(kNear, 8000)));
  EXPECT_EQ(table_.size(), 0U);
}

TEST_F(LoopGuardTest, TheLoopbackOfAnotherNamespaceIsAnotherOne) {
  add_chain(kMost, [this](int i) {
    LinkSpec link = on_loopback(i);
    link.upstream_cookie = kElsewhere;
    return link;
  });
  EXPECT_FALSE(breaks(at("127.0.0.1", kMost + 1)));
}

TEST_F(LoopGuardTest, WhoCameLongAfterIsSomebodyElseWithTheSameAddresses) {
  for (int i = 1; i <= kMost; ++i) {
    add(across(i));
    time_ += kLongestHop + Duration(1);
  }
  EXPECT_FALSE(breaks(at(kFar, kMost + 1), at(kNear, 8000)));
}

TEST_F(LoopGuardTest, WhoCameBeforeIsSomebodyElseWithTheSameAddresses) {
  add_chain(2 * kMost, [this](int i) {
    LinkSpec link = across(i);
    link.began = time_ + Duration(-i);
    return link;
  });
  EXPECT_FALSE(breaks(at(kFar, 2 * kMost + 1), at(kNear, 8000)));
}

TEST_F(LoopGuardTest, EndsNothingOfAnotherTenantWhoseAddressesAreForged) {
  // A client of `here_` poses as the upstream of somebody else's connection, and goes on from it.
  const auto victim =
      std::make_shared<const ListenerInfo>(ListenerInfo{"green", 9, "10.0.0.1:8000", 0});
  LinkSpec others = across(100);
  others.listener = victim;
  add(others);
  for (int i = 101; i < 101 + kMost; ++i)
    add(across(i));
  EXPECT_TRUE(breaks(at(kFar, 101 + kMost), at(kNear, 8000)));
  ASSERT_EQ(table_.size(), 1U);
  table_.for_each([&](Forwarded& one) { EXPECT_EQ(&one.listener(), victim.get()); });
}

TEST_F(LoopGuardTest, AWayThroughManyListenersIsNoCircle) {
  add_chain(3 * kMost, [this](int i) {
    LinkSpec link = on_loopback(i);
    link.listener = std::make_shared<const ListenerInfo>(
        ListenerInfo{"blue", kHere, "0.0.0.0:" + std::to_string(9000 + i), 0});
    return link;
  });
  EXPECT_FALSE(breaks(at("127.0.0.1", 3 * kMost + 1)));
}

TEST_F(LoopGuardTest, AChainThatBitesItsTailEnds) {
  add({here_, at("127.0.0.1", 2), at("127.0.0.1", 1)});
  add({here_, at("127.0.0.1", 1), at("127.0.0.1", 2)});
  EXPECT_FALSE(breaks(at("127.0.0.1", 1)));
}

TEST_F(LoopGuardTest, LooksWhenConnectionsHaveDoubled) {
  add_others(LoopGuard::kFirstLook - 1);
  EXPECT_FALSE(guard_.is_due());
  add_others(1);
  EXPECT_TRUE(guard_.is_due());
  EXPECT_FALSE(breaks(at("192.0.2.7", 9)));
  EXPECT_FALSE(guard_.is_due());
  add_others(LoopGuard::kFirstLook);
  EXPECT_TRUE(guard_.is_due());
}

TEST_F(LoopGuardTest, ACircleAmongManyConnectionsDoesNotMakeEveryClientPayForALook) {
  add_others(10 * LoopGuard::kFirstLook);
  add_chain(kMost, [this](int i) { return on_loopback(i); });
  EXPECT_TRUE(breaks(at("127.0.0.1", kMost + 1)));
  add_others(4 * LoopGuard::kFirstLook);
  EXPECT_FALSE(guard_.is_due());
  add_others(2 * LoopGuard::kFirstLook);
  EXPECT_TRUE(guard_.is_due());
}

TEST_F(LoopGuardTest, LooksAtALimitOnceASecond) {
  guard_.look_at_limit(time_);
  add_chain(kMost, [this](int i) { return on_loopback(i); });
  guard_.look_at_limit(time_);
  EXPECT_EQ(table_.size(), static_cast<std::size_t>(kMost)) << "so few are not looked at";
  add_others(LoopGuard::kFirstLook);
  guard_.look_at_limit(time_);
  EXPECT_EQ(table_.size(), LoopGuard::kFirstLook);
  add_chain(kMost, [this](int i) { return on_loopback(i); });
  guard_.look_at_limit(time_);
  EXPECT_EQ(table_.size(), LoopGuard::kFirstLook + kMost);
  time_ += LoopGuard::kLimitPause;
  guard_.look_at_limit(time_);
  EXPECT_EQ(table_.size(), LoopGuard::kFirstLook);
}

}  // namespace
}  // namespace nsrelay
