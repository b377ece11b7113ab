#include "nsrelay/upstream/connector.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "nsrelay/netns/netns_scope.hpp"
#include "support/loop_test.hpp"
#include "support/netns_entry.hpp"
#include "support/netns_test.hpp"
#include "support/system_limits.hpp"

namespace nsrelay {
namespace {

using test::local_address;
using test::local_port;
using testing::HasSubstr;

constexpr Duration kConnectTimeout{5000};

/// A Unix listener with an abstract name of this process.
std::string unix_name(std::string_view tag) {
  return "@nsrelay-unit-" + std::to_string(::getpid()) + "-" + std::string(tag);
}

UniqueFd listen_on_unix(const std::string& name, int backlog = 16) {
  return test::make_listener(*SocketAddress::unix_path(name), backlog);
}

class ConnectorTest : public test::LoopTest {
 protected:
  ConnectorTest() {
    rule_.upstream.connect_timeout = kConnectTimeout;
    entry_.netns = std::move(*Netns::current());
    home_netns();  // found while there are descriptors, as the daemon does
  }

  void add_target(const SocketAddress& address) {
    const IpEndpoint endpoint = address.endpoint();
    rule_.upstream.targets.push_back({.kind = TargetSpec::Kind::Address,
                                      .text = endpoint.to_string(),
                                      .addresses = {{endpoint.ip, ""}},
                                      .ports = {endpoint.port, endpoint.port}});
  }
  void add_target(const UniqueFd& listener) { add_target(local_address(listener)); }
  void add_unix_target(const std::string& path) {
    rule_.upstream.targets.push_back(
        {.kind = TargetSpec::Kind::UnixPath, .text = "unix:" + path, .path = path});
  }
  void add_host_target(const std::string& host, std::uint16_t port) {
    rule_.upstream.targets.push_back({.kind = TargetSpec::Kind::HostName,
                                      .text = host + ":" + std::to_string(port),
                                      .host = host,
                                      .ports = {port, port}});
  }

  /// Fills the backlog of `listener` (made with a backlog of 0), so that it answers no more.
  void fill_backlog(const UniqueFd& listener) {
    fillers_.push_back(test::connect_to(local_address(listener)));
    ASSERT_TRUE(test::wait_for(listener, POLLIN));
  }

  void start(std::uint16_t port_offset = 0) {
    pool_ = std::make_unique<UpstreamPool>(*loop_, rule_, test::borrow(entry_), "blue");
    make_connector(port_offset);
    connector_->start();
  }
  void make_connector(std::uint16_t port_offset = 0) {
    connector_ = std::make_unique<Connector>(
        *loop_, reserve_, *pool_, ConnectRequest{port_offset, *IpAddress::parse("192.0.2.7")},
        Connector::Events{
            Delegate<void()>::to<&ConnectorTest::on_finished>(this),
            Delegate<void(const FailedAttempt&)>::to<&ConnectorTest::on_attempt_failed>(this)});
  }
  [[nodiscard]] bool finish() {
    return run_until([&] { return finished_ > 0; });
  }

  /// The connected socket, no longer watched.
  UniqueFd take() {
    connector_->take_watcher();
    return connector_->take_socket();
  }

  void on_finished() noexcept { ++finished_; }
  void on_attempt_failed(const FailedAttempt& attempt) noexcept { failures_.push_back(attempt); }

  [[nodiscard]] std::vector<Reason> reasons() const {
    std::vector<Reason> reasons;
    for (const FailedAttempt& failure : failures_)
      reasons.push_back(failure.reason);
    return reasons;
  }

  ForwardRule rule_;
  NetnsEntry entry_{.name = "default"};
  DescriptorReserve reserve_;
  std::vector<UniqueFd> fillers_;
  std::unique_ptr<UpstreamPool> pool_;
  std::unique_ptr<Connector> connector_;
  int finished_ = 0;
  std::vector<FailedAttempt> failures_;
};

TEST_F(ConnectorTest, HandsAConnectedSocketOver) {
  const UniqueFd listener = test::make_listener();
  add_target(listener);
  start();
  ASSERT_TRUE(finish());
  EXPECT_FALSE(connector_->failed());
  EXPECT_FALSE(connector_->is_unix());
  EXPECT_EQ(connector_->target(), local_address(listener).to_string());
  EXPECT_TRUE(connector_->seen_events() & EPOLLOUT);
  const UniqueFd upstream = test::accept_from(listener);
  const UniqueFd socket = take();
  test::send_text(socket, "hello");
  ASSERT_TRUE(test::wait_for(upstream, POLLIN));
  EXPECT_EQ(test::receive_text(upstream), "hello");
}

TEST_F(ConnectorTest, HandsItsWatcherOverToBeRedirected) {
  struct Relay {
    void on_event(std::uint32_t events) noexcept { seen |= events; }
    std::uint32_t seen = 0;
  } relay;
  const UniqueFd listener = test::make_listener();
  add_target(listener);
  start();
  ASSERT_TRUE(finish());
  const UniqueFd upstream = test::accept_from(listener);
  const UniqueFd socket = connector_->take_socket();
  IoWatcher watcher = connector_->take_watcher();
  watcher.redirect(IoCallback::to<&Relay::on_event>(&relay));
  connector_.reset();
  test::send_text(upstream, "x");
  EXPECT_TRUE(run_until([&] { return (relay.seen & EPOLLIN) != 0; }));
  EXPECT_EQ(finished_, 1);
}

TEST_F(ConnectorTest, SetsTheOptionsOfTheRule) {
  const UniqueFd listener = test::make_listener();
  add_target(listener);
  rule_.keepalive = Duration(77'000);
  start();
  ASSERT_TRUE(finish());
  EXPECT_EQ(test::int_option(take(), IPPROTO_TCP, TCP_KEEPIDLE), 77);
}

TEST_F(ConnectorTest, FollowsTheListenersPlaceInItsRange) {
  const UniqueFd listener = test::make_listener();
  const std::uint16_t port = local_port(listener);
  add_target(test::loopback(port));
  rule_.upstream.targets[0].ports = {static_cast<std::uint16_t>(port - 3), port};
  start(3);
  ASSERT_TRUE(finish());
  EXPECT_FALSE(connector_->failed());
}

TEST_F(ConnectorTest, GoesOnToTheNextTargetWhenOneRefuses) {
  const UniqueFd unused = test::reserve_port();
  const UniqueFd listener = test::make_listener();
  add_target(unused);
  add_target(listener);
  start();
  ASSERT_TRUE(finish());
  EXPECT_FALSE(connector_->failed());
  EXPECT_EQ(connector_->target(), local_address(listener).to_string());
  ASSERT_EQ(failures_.size(), 1U);
  EXPECT_EQ(failures_[0].target, local_address(unused).to_string());
  EXPECT_EQ(failures_[0].reason, Reason::ConnectRefused);
  EXPECT_EQ(failures_[0].text, "connect: Connection refused");
}

TEST_F(ConnectorTest, TriesEachTargetOnceAndThenFailsWithTheLastReason) {
  const UniqueFd first = test::reserve_port();
  const UniqueFd second = test::reserve_port();
  add_target(first);
  add_target(second);
  start();
  ASSERT_TRUE(finish());
  EXPECT_TRUE(connector_->failed());
  EXPECT_EQ(connector_->last_failure().reason, Reason::ConnectRefused);
  EXPECT_EQ(connector_->last_failure().target, local_address(second).to_string());
  EXPECT_EQ(failures_.size(), 2U);
  settle();
  EXPECT_EQ(finished_, 1);
}

TEST_F(ConnectorTest, StartsAtTheTargetWhoseTurnItIs) {
  const UniqueFd first = test::make_listener();
  const UniqueFd second = test::make_listener();
  add_target(first);
  add_target(second);
  start();
  ASSERT_TRUE(finish());
  EXPECT_EQ(connector_->target(), local_address(first).to_string());
  make_connector();
  connector_->start();
  finished_ = 0;
  ASSERT_TRUE(finish());
  EXPECT_EQ(connector_->target(), local_address(second).to_string());
}

TEST_F(ConnectorTest, GoesAroundFromTheTargetWhoseTurnItIs) {
  const UniqueFd listener = test::make_listener();
  const UniqueFd unused = test::reserve_port();
  add_target(listener);
  add_target(unused);
  start();
  ASSERT_TRUE(finish());
  make_connector();
  connector_->start();  // begins at the second, which refuses
  finished_ = 0;
  ASSERT_TRUE(finish());
  EXPECT_FALSE(connector_->failed());
  EXPECT_EQ(connector_->target(), local_address(listener).to_string());
}

TEST_F(ConnectorTest, GivesATargetConnectTimeoutThenTriesTheNext) {
  const UniqueFd silent = test::make_listener(test::loopback(), 0);
  const UniqueFd listener = test::make_listener();
  fill_backlog(silent);
  add_target(silent);
  add_target(listener);
  start();
  pass(kConnectTimeout - Duration(1));
  EXPECT_TRUE(failures_.empty());
  pass(Duration(1));
  EXPECT_THAT(reasons(), testing::ElementsAre(Reason::ConnectTimeout));
  EXPECT_EQ(failures_[0].target, local_address(silent).to_string());
  ASSERT_TRUE(finish());
  EXPECT_FALSE(connector_->failed());
}

TEST_F(ConnectorTest, FailsWithConnectTimeoutWhenNobodyAnswers) {
  const UniqueFd silent = test::make_listener(test::loopback(), 0);
  fill_backlog(silent);
  add_target(silent);
  start();
  pass(kConnectTimeout);
  ASSERT_TRUE(finish());
  EXPECT_TRUE(connector_->failed());
  EXPECT_EQ(connector_->last_failure().reason, Reason::ConnectTimeout);
}

TEST_F(ConnectorTest, ConnectsToAUnixListener) {
  const std::string name = unix_name("plain");
  const UniqueFd listener = listen_on_unix(name);
  add_unix_target(name);
  start();
  ASSERT_TRUE(finish());
  EXPECT_FALSE(connector_->failed());
  EXPECT_TRUE(connector_->is_unix());
  EXPECT_EQ(connector_->target(), "unix:" + name);
}

TEST_F(ConnectorTest, AUnixPathAtWhichNobodyListensRefuses) {
  add_unix_target("/nonexistent/nsrelay.sock");
  add_unix_target(unix_name("nobody"));
  start();
  ASSERT_TRUE(finish());
  EXPECT_THAT(reasons(), testing::ElementsAre(Reason::ConnectRefused, Reason::ConnectRefused));
}

TEST_F(ConnectorTest, AUnixPathThatBecameTooLongIsAFailureOfItsTarget) {
  const UniqueFd listener = test::make_listener();
  add_unix_target("/" + std::string(107, 'x'));
  add_target(listener);
  start();
  ASSERT_TRUE(finish());
  EXPECT_THAT(reasons(), testing::ElementsAre(Reason::ConnectFailed));
  EXPECT_FALSE(connector_->failed());
}

TEST_F(ConnectorTest, WaitsWhileAUnixBacklogIsFull) {
  const std::string name = unix_name("full");
  const UniqueFd listener = listen_on_unix(name, 0);
  fill_backlog(listener);
  add_unix_target(name);
  start();
  for (int i = 0; i < 20; ++i)
    pass(Duration(5));
  EXPECT_EQ(finished_, 0);
  EXPECT_TRUE(failures_.empty());
  const UniqueFd accepted = test::accept_from(listener);
  pass(Duration(5));
  ASSERT_TRUE(finish());
  EXPECT_FALSE(connector_->failed());
}

TEST_F(ConnectorTest, GivesAUnixBacklogThatStaysFullConnectTimeout) {
  const std::string name = unix_name("stays-full");
  const UniqueFd listener = listen_on_unix(name, 0);
  fill_backlog(listener);
  add_unix_target(name);
  start();
  pass(kConnectTimeout);
  ASSERT_TRUE(finish());
  EXPECT_TRUE(connector_->failed());
  EXPECT_EQ(connector_->last_failure().reason, Reason::ConnectTimeout);
}

TEST_F(ConnectorTest, TriesEveryAddressOfAName) {
  const UniqueFd listener = test::make_listener();
  add_host_target("localhost", local_port(listener));
  start();
  ASSERT_TRUE(finish());
  EXPECT_FALSE(connector_->failed());
  EXPECT_EQ(connector_->target(), local_address(listener).to_string());
}

TEST_F(ConnectorTest, NeverFinishesFromInsideStart) {
  const UniqueFd listener = test::make_listener();
  add_target(listener);
  start();
  EXPECT_EQ(finished_, 0);
  ASSERT_TRUE(finish());
}

TEST_F(ConnectorTest, NeverFinishesFromInsideStartWhenAllFailsAtOnce) {
  entry_.netns.reset();
  entry_.why_absent = "it is a test";
  add_target(test::loopback(1));
  start();
  EXPECT_EQ(finished_, 0);
  ASSERT_TRUE(finish());
  EXPECT_TRUE(connector_->failed());
  EXPECT_EQ(connector_->last_failure().reason, Reason::UpstreamNetnsAbsent);
  EXPECT_EQ(connector_->last_failure().text, "it is a test");
}

TEST_F(ConnectorTest, CancelWhileConnectingEndsItForGood) {
  const UniqueFd silent = test::make_listener(test::loopback(), 0);
  fill_backlog(silent);
  add_target(silent);
  start();
  connector_->cancel();
  EXPECT_FALSE(connector_->take_socket());
  pass(2 * kConnectTimeout);
  settle();
  EXPECT_EQ(finished_, 0);
  EXPECT_TRUE(failures_.empty());
  connector_->cancel();
}

TEST_F(ConnectorTest, CancelBeforeAFailureIsReportedEndsItForGood) {
  entry_.netns.reset();
  add_target(test::loopback(1));
  start();
  connector_->cancel();
  settle();
  EXPECT_EQ(finished_, 0);
}

TEST_F(ConnectorTest, CancelWhileResolvingEndsItForGood) {
  const UniqueFd listener = test::make_listener();
  add_host_target("localhost", local_port(listener));
  start();
  connector_->cancel();
  pass(2 * kConnectTimeout);
  settle();
  EXPECT_EQ(finished_, 0);
  EXPECT_FALSE(test::is_ready(listener, POLLIN));
}

TEST_F(ConnectorTest, ConnectsFromEachSourceAddressInTurn) {
  const UniqueFd listener = test::make_listener();
  add_target(listener);
  rule_.upstream.source = {*IpNetwork::parse("127.0.0.2"), *IpNetwork::parse("127.0.0.3")};
  start();
  for (const std::string_view expected : {"127.0.0.2", "127.0.0.3", "127.0.0.2"}) {
    finished_ = 0;
    ASSERT_TRUE(finish());
    EXPECT_EQ(local_address(take()).endpoint().ip.to_string(), expected);
    make_connector();
    connector_->start();
  }
}

TEST_F(ConnectorTest, TriesTheNextSourceWhereOneIsNotConfigured) {
  const UniqueFd listener = test::make_listener();
  add_target(listener);
  // TEST-NET-1: an address that is not here.
  rule_.upstream.source = {*IpNetwork::parse("192.0.2.1"), *IpNetwork::parse("127.0.0.2")};
  start();
  ASSERT_TRUE(finish());
  EXPECT_FALSE(connector_->failed());
  EXPECT_THAT(reasons(), testing::ElementsAre(Reason::SourceAbsent));
  EXPECT_EQ(failures_[0].text, "bind source 192.0.2.1: Cannot assign requested address");
  // For a while nobody else stumbles over it.
  make_connector();
  connector_->start();
  connector_->cancel();
  make_connector();
  connector_->start();
  EXPECT_EQ(failures_.size(), 1U);
}

TEST_F(ConnectorTest, DoesNotTryAnotherSourceOfATargetThatRefuses) {
  const UniqueFd unused = test::reserve_port();
  add_target(unused);
  rule_.upstream.source = {*IpNetwork::parse("127.0.0.2"), *IpNetwork::parse("127.0.0.3")};
  start();
  ASSERT_TRUE(finish());
  EXPECT_THAT(reasons(), testing::ElementsAre(Reason::ConnectRefused));
}

TEST_F(ConnectorTest, NeedsASourceOfTheTargetsFamily) {
  const UniqueFd listener = test::make_listener();
  add_target(listener);
  rule_.upstream.source = {*IpNetwork::parse("2001:db8::1")};
  start();
  ASSERT_TRUE(finish());
  EXPECT_TRUE(connector_->failed());
  EXPECT_EQ(connector_->last_failure().text, "no address of `source` is of the target's family");
}

TEST_F(ConnectorTest, AnUnknownDeviceIsAFailureOfItsTarget) {
  const UniqueFd listener = test::make_listener();
  add_target(listener);
  rule_.upstream.bind_device = "nosuch0";
  start();
  ASSERT_TRUE(finish());
  EXPECT_EQ(connector_->last_failure().reason, Reason::ConnectFailed);
  EXPECT_THAT(connector_->last_failure().text, HasSubstr("nosuch0"));
}

TEST_F(ConnectorTest, SpendsTheReserveWhenOutOfDescriptors) {
  const UniqueFd listener = test::make_listener();
  add_target(listener);
  {
    const test::FewDescriptors limit(0);
    start();
    ASSERT_TRUE(finish());
  }
  EXPECT_FALSE(connector_->failed());
  EXPECT_FALSE(reserve_.is_held());
}

TEST_F(ConnectorTest, FailsWithOutOfDescriptorsWhenTheReserveIsSpentToo) {
  const UniqueFd listener = test::make_listener();
  add_target(listener);
  reserve_.spend();
  {
    const test::FewDescriptors limit(0);
    start();
    ASSERT_TRUE(finish());
  }
  EXPECT_TRUE(connector_->failed());
  EXPECT_EQ(connector_->last_failure().reason, Reason::OutOfDescriptors);
}

TEST_F(ConnectorTest, AResetRightAfterTheHandshakeIsAConnectionThatEnded) {
  const UniqueFd listener = test::make_listener();
  add_target(listener);
  start();
  UniqueFd upstream = test::accept_from(listener);
  test::send_text(upstream, "last words");
  test::reset(upstream);
  ASSERT_TRUE(finish());
  ASSERT_FALSE(connector_->failed());
  EXPECT_TRUE(connector_->seen_events() & EPOLLERR);
  EXPECT_EQ(test::receive_text(take()), "last words");
}

class ConnectorAsRoot : public ConnectorTest {
 protected:
  void SetUp() override {
    NSRELAY_NEEDS_ROOT();
    made_ = test::make_netns("connector");
    ASSERT_TRUE(made_);
    entry_.netns = std::move(*Netns::open(test::netns_path("connector")));
  }

  std::unique_ptr<ThrowawayNetns> made_;
};

TEST_F(ConnectorAsRoot, ConnectsFromInsideTheNamespace) {
  auto listener = make_socket_in(made_->netns(), AF_INET, SOCK_STREAM, 0);
  ASSERT_TRUE(listener);
  const SocketAddress any = test::loopback();
  ASSERT_EQ(::bind(listener->get(), any.data(), any.size()), 0);
  ASSERT_EQ(::listen(listener->get(), 1), 0);
  add_target(*listener);
  start();
  ASSERT_TRUE(finish());
  EXPECT_FALSE(connector_->failed());
  EXPECT_TRUE(test::is_ready(*listener, POLLIN));
}

TEST_F(ConnectorAsRoot, NoRouteIsUnreachable) {
  add_target(SocketAddress(IpEndpoint{*IpAddress::parse("192.0.2.1"), 80}));
  start();
  ASSERT_TRUE(finish());
  EXPECT_EQ(connector_->last_failure().reason, Reason::ConnectUnreachable);
}

TEST_F(ConnectorAsRoot, AnUnknownZoneIsAFailureOfItsTarget) {
  add_target(SocketAddress(IpEndpoint{*IpAddress::parse("fe80::1"), 80}));
  rule_.upstream.targets[0].addresses[0].zone = "nosuch0";
  start();
  ASSERT_TRUE(finish());
  EXPECT_THAT(connector_->last_failure().text, HasSubstr("interface nosuch0"));
}

TEST_F(ConnectorAsRoot, ANameThatNobodyCanResolveIsNotFound) {
  add_host_target("nsrelay-unit.invalid", 80);
  start();
  // The namespace has no route to a server: the library gives up after its tries.
  ASSERT_TRUE(run_until([&] {
    pass(Duration(1));
    return finished_ > 0;
  }));
  EXPECT_TRUE(connector_->failed());
  EXPECT_THAT(reasons(), testing::ElementsAre(Reason::NameNotFound));
}

}  // namespace
}  // namespace nsrelay
