#include "nsrelay/daemon/reconciler.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nsrelay/netns/netns_scope.hpp"
#include "support/log_file.hpp"
#include "support/loop_test.hpp"
#include "support/netns_test.hpp"

namespace nsrelay {
namespace {

using test::make_netns;
using test::named;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint16_t kPort = 8000;  // of throw-away namespaces, where nobody else listens

/// A second name for a namespace, as a bind mount. It goes when the object does.
class OtherName {
 public:
  OtherName(const std::string& of, std::string path) : path_(std::move(path)) {
    UniqueFd::adopt(::open(path_.c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0));
    EXPECT_EQ(::mount(of.c_str(), path_.c_str(), "none", MS_BIND, nullptr), 0);
  }
  OtherName(const OtherName&) = delete;
  OtherName& operator=(const OtherName&) = delete;
  ~OtherName() { remove(); }

  void remove() {
    ::umount2(path_.c_str(), MNT_DETACH);
    ::unlink(path_.c_str());
  }

 private:
  std::string path_;
};

class ReconcilerTest : public test::LoopTest {
 protected:
  void SetUp() override { NSRELAY_NEEDS_ROOT(); }

  ForwardRule& add_rule(const std::string& name, std::vector<NetnsSelector> netns,
                        std::uint16_t port = kPort) {
    ForwardRule rule;
    rule.name = name;
    rule.netns = std::move(netns);
    rule.listen = {{.addresses = {{*IpAddress::parse("127.0.0.1"), ""}}, .ports = {port, port}}};
    const std::uint16_t target = test::local_port(target_);
    rule.upstream.targets = {{.kind = TargetSpec::Kind::Address,
                              .text = "target",
                              .addresses = {{*IpAddress::parse("127.0.0.1"), ""}},
                              .ports = {target, target}}};
    config_->rules.push_back(std::move(rule));
    return config_->rules.back();
  }

  Reconciler& reconciler() {
    if (!reconciler_)
      reconciler_ = std::make_unique<Reconciler>(context_, registry_, drainer_, store_, config_);
    return *reconciler_;
  }
  void look_again() {
    registry_.refresh();
    const NetnsChanges changes = registry_.take_changes();
    reconciler().reconcile(changes);
    drainer_.end_orphans(changes.gone);
  }

  /// A client inside `netns`; nothing where it is refused.
  static UniqueFd connect_in(const Netns& netns) {
    auto socket = make_socket_in(netns, AF_INET, SOCK_STREAM, 0);
    EXPECT_TRUE(socket);
    const SocketAddress address = test::loopback(kPort);
    ::connect(socket->get(), address.data(), address.size());
    EXPECT_TRUE(test::wait_for(*socket, POLLOUT));
    const bool refused = test::int_option(*socket, SOL_SOCKET, SO_ERROR) == ECONNREFUSED;
    return refused ? UniqueFd() : *std::move(socket);
  }
  /// A listener inside `netns` for connections that are made from there.
  static UniqueFd listen_in(const Netns& netns, std::uint16_t port) {
    auto socket = make_socket_in(netns, AF_INET, SOCK_STREAM, 0);
    EXPECT_TRUE(socket);
    const SocketAddress address = test::loopback(port);
    EXPECT_EQ(::bind(socket->get(), address.data(), address.size()), 0);
    EXPECT_EQ(::listen(socket->get(), 4), 0);
    return *std::move(socket);
  }
  [[nodiscard]] bool gets_connection(const UniqueFd& listener) {
    return run_until([&] { return test::is_ready(listener, POLLIN); });
  }

  UniqueFd target_ = test::make_listener();
  std::shared_ptr<Config> config_ = std::make_shared<Config>();
  test::LogFile log_;
  NetnsRegistry registry_;
  RelayContext context_{*loop_, log_.log(), {}};
  ListenerStore store_;
  Drainer drainer_{context_, Duration(1000)};
  std::unique_ptr<Reconciler> reconciler_;
};

TEST_F(ReconcilerTest, OpensAListenerInEveryNamespace) {
  const auto blue = make_netns("blue");
  const auto red = make_netns("red");
  ASSERT_TRUE(blue && red);
  add_rule("web", {named("blue"), named("red")});
  reconciler().reconcile();
  EXPECT_EQ(reconciler().listening(), 2U);
  EXPECT_EQ(reconciler().pending(), 0U);
  for (const auto& made : {&blue, &red}) {
    EXPECT_TRUE(connect_in((*made)->netns()));
    EXPECT_TRUE(gets_connection(target_));
    test::accept_from(target_);
    EXPECT_THAT(log_.text(), HasSubstr("info listener open event=listener_open rule=web netns=" +
                                       (*made)->name() + " protocol=tcp listener=127.0.0.1:8000"));
  }
}

TEST_F(ReconcilerTest, IsIdempotent) {
  const auto blue = make_netns("blue");
  ASSERT_TRUE(blue);
  add_rule("web", {named("blue"), named("absent")});
  reconciler().reconcile();
  const std::string log = log_.text();
  for (int i = 0; i < 3; ++i)
    look_again();
  EXPECT_EQ(reconciler().listening(), 1U);
  EXPECT_EQ(reconciler().pending(), 1U);
  EXPECT_EQ(log_.text(), log);
}

TEST_F(ReconcilerTest, OpensInSlicesThatDoNotMakeAnIterationLong) {
  const auto blue = make_netns("blue");
  ASSERT_TRUE(blue);
  add_rule("web", {named("blue")}).listen.front().ports = {kPort, kPort + 99};
  time_ += std::chrono::milliseconds(3);  // so long has the iteration lasted
  reconciler().reconcile();
  EXPECT_EQ(reconciler().listening(), 8U);
  reconciler().retry();
  EXPECT_EQ(reconciler().listening(), 8U);  // their turn comes
  loop_->run_once(Duration(0));             // time stands still
  EXPECT_EQ(reconciler().listening(), 8U + 64U);
  loop_->run_once(Duration(0));
  loop_->run_once(Duration(0));
  EXPECT_EQ(reconciler().listening(), 100U);
  EXPECT_EQ(reconciler().pending(), 0U);
}

TEST_F(ReconcilerTest, AListenerOfAnAbsentNamespaceIsPendingUntilItAppears) {
  add_rule("web", {named("late")});
  reconciler().reconcile();
  EXPECT_EQ(reconciler().listening(), 0U);
  EXPECT_EQ(reconciler().pending(), 1U);
  EXPECT_THAT(log_.text(), HasSubstr("warn listener pending event=listener_pending rule=web"));
  EXPECT_THAT(log_.text(), HasSubstr("reason=\"namespace absent: " + test::netns_path("late") +
                                     ": No such file or directory\""));
  const auto late = make_netns("late");
  ASSERT_TRUE(late);
  look_again();
  EXPECT_EQ(reconciler().listening(), 1U);
  EXPECT_EQ(reconciler().pending(), 0U);
  EXPECT_TRUE(connect_in(late->netns()));
}

TEST_F(ReconcilerTest, AListenerOfANamespaceThatIsGoneIsClosed) {
  const auto gone = make_netns("gone");
  ASSERT_TRUE(gone);
  const auto held = Netns::open(test::netns_path("gone"));
  ASSERT_TRUE(held);
  add_rule("web", {named("gone")});
  reconciler().reconcile();
  gone->remove();
  look_again();
  EXPECT_EQ(reconciler().listening(), 0U);
  EXPECT_EQ(reconciler().pending(), 1U);
  EXPECT_THAT(log_.text(), HasSubstr("listener closed event=listener_closed rule=web netns=" +
                                     test::netns_name("gone")));
  EXPECT_FALSE(connect_in(*held));
}

TEST_F(ReconcilerTest, ANamespaceMadeAgainGetsAListenerOfItsOwn) {
  auto made = make_netns("again");
  ASSERT_TRUE(made);
  add_rule("web", {named("again")});
  reconciler().reconcile();
  made->remove();
  made = make_netns("again");
  ASSERT_TRUE(made);
  look_again();
  EXPECT_EQ(reconciler().listening(), 1U);
  EXPECT_TRUE(connect_in(made->netns()));
  EXPECT_EQ(log_.count("listener_closed"), 1);
  EXPECT_EQ(log_.count("listener_open"), 2);
}

TEST_F(ReconcilerTest, APortThatIsTakenIsTriedAgain) {
  const auto blue = make_netns("blue");
  ASSERT_TRUE(blue);
  UniqueFd taken = listen_in(blue->netns(), kPort);
  add_rule("web", {named("blue")});
  reconciler().reconcile();
  reconciler().retry();
  EXPECT_EQ(reconciler().pending(), 1U);
  EXPECT_EQ(log_.count("reason=\"bind: Address already in use\""), 1);
  taken.close();
  reconciler().retry();
  EXPECT_EQ(reconciler().listening(), 1U);
}

TEST_F(ReconcilerTest, TwoNamesOfOneNamespaceAreOneListenerThatMovesWithTheName) {
  const auto blue = make_netns("blue");
  ASSERT_TRUE(blue);
  const Netns held = std::move(*Netns::open(test::netns_path("blue")));
  const OtherName other(test::netns_path("blue"), test::netns_path("other"));
  add_rule("web", {named("blue"), named("other")});
  reconciler().reconcile();
  EXPECT_EQ(reconciler().listening(), 1U);
  blue->remove();
  look_again();
  EXPECT_EQ(reconciler().listening(), 1U);
  EXPECT_EQ(log_.count("listener_closed"), 0);  // no client is refused meanwhile
  UniqueFd client = connect_in(held);
  ASSERT_TRUE(gets_connection(target_));
  test::reset(client);
  ASSERT_TRUE(run_until([&] { return context_.connections().size() == 0; }));
  EXPECT_THAT(log_.text(),
              HasSubstr("event=connection_closed rule=web netns=" + test::netns_name("other")));
}

TEST_F(ReconcilerTest, AListenerThatMovedToAnotherNameConnectsFromTheSameNamespaceStill) {
  const auto blue = make_netns("blue");
  ASSERT_TRUE(blue);
  const Netns held = std::move(*Netns::open(test::netns_path("blue")));
  const OtherName other(test::netns_path("blue"), test::netns_path("other"));
  const UniqueFd upstream = listen_in(held, test::local_port(target_));
  add_rule("web", {named("blue"), named("other")}).upstream.netns = {NetnsSelector::Kind::Same,
                                                                     "same"};
  reconciler().reconcile();
  blue->remove();
  look_again();
  const UniqueFd client = connect_in(held);
  EXPECT_TRUE(gets_connection(upstream)) << log_.text();
}

TEST_F(ReconcilerTest, AListenerThatTwoRulesWantIsPendingForTheSecond) {
  const auto blue = make_netns("blue");
  ASSERT_TRUE(blue);
  const OtherName other(test::netns_path("blue"), test::netns_path("other"));
  add_rule("first", {named("blue")});
  add_rule("second", {named("other")});
  reconciler().reconcile();
  EXPECT_EQ(reconciler().listening(), 1U);
  EXPECT_EQ(reconciler().pending(), 1U);
  EXPECT_THAT(log_.text(), HasSubstr("event=listener_pending rule=second"));
  EXPECT_THAT(log_.text(), HasSubstr("reason=\"the same listener as rule \\\"first\\\"\""));
}

TEST_F(ReconcilerTest, AListenerThatTheSecondRuleInheritsForwardsByTheSecondRule) {
  const auto blue = make_netns("blue");
  ASSERT_TRUE(blue);
  const Netns held = std::move(*Netns::open(test::netns_path("blue")));
  const OtherName other(test::netns_path("blue"), test::netns_path("other"));
  const UniqueFd second_target = test::make_listener();
  add_rule("first", {named("blue")});
  const std::uint16_t port = test::local_port(second_target);
  add_rule("second", {named("other")}).upstream.targets[0].ports = {port, port};
  reconciler().reconcile();
  blue->remove();
  look_again();
  EXPECT_EQ(reconciler().listening(), 1U);
  const UniqueFd client = connect_in(held);
  ASSERT_TRUE(client);
  EXPECT_TRUE(gets_connection(second_target));
  EXPECT_FALSE(test::is_ready(target_, POLLIN));
}

TEST_F(ReconcilerTest, TwoNamespacesThatAreCalledTheSameAreConnectedFromEach) {
  const auto blue = make_netns("blue");
  const auto red = make_netns("red");
  ASSERT_TRUE(blue && red);
  // Called like the first one, but another: the name in the log is the last part of the path.
  const std::string folder = testing::TempDir() + test::netns_name("folder");
  ASSERT_EQ(::mkdir(folder.c_str(), 0700), 0);
  const std::string path = folder + "/" + test::netns_name("blue");
  {
    const OtherName namesake(test::netns_path("red"), path);
    const std::uint16_t port = test::local_port(target_);
    const UniqueFd in_blue = listen_in(blue->netns(), port);
    const UniqueFd in_red = listen_in(red->netns(), port);
    add_rule("web", {named("blue"), {NetnsSelector::Kind::Path, path}}).upstream.netns = {
        NetnsSelector::Kind::Same, "same"};
    reconciler().reconcile();
    EXPECT_EQ(reconciler().listening(), 2U);
    const UniqueFd client = connect_in(red->netns());
    EXPECT_TRUE(run_until([&] { return context_.connections().size() == 1; }));
    settle();
    EXPECT_TRUE(test::is_ready(in_red, POLLIN));
    EXPECT_FALSE(test::is_ready(in_blue, POLLIN));
  }
  ::rmdir(folder.c_str());
}

TEST_F(ReconcilerTest, EndOrphansEndsWhatTouchesANamespaceThatIsGone) {
  const auto gone = make_netns("gone");
  const auto stays = make_netns("stays");
  ASSERT_TRUE(gone && stays);
  add_rule("web", {named("gone"), named("stays")});
  reconciler().reconcile();
  const UniqueFd orphan = connect_in(gone->netns());
  const UniqueFd other = connect_in(stays->netns());
  ASSERT_TRUE(run_until([&] { return context_.connections().size() == 2; }));
  EXPECT_EQ(context_.connections().size(), 2U);
  gone->remove();
  look_again();
  EXPECT_EQ(context_.connections().size(), 1U);
  EXPECT_TRUE(test::is_reset(orphan));
  EXPECT_FALSE(test::is_reset(other));
  EXPECT_EQ(log_.count("reason=netns_deleted"), 2);  // the listener and the connection
}

TEST_F(ReconcilerTest, EndOrphansEndsWhatIsConnectedFromANamespaceThatIsGone) {
  const auto from = make_netns("from");
  const auto blue = make_netns("blue");
  ASSERT_TRUE(from && blue);
  const UniqueFd upstream = listen_in(from->netns(), test::local_port(target_));
  add_rule("web", {named("blue")}).upstream.netns = named("from");
  reconciler().reconcile();
  const UniqueFd client = connect_in(blue->netns());
  ASSERT_TRUE(gets_connection(upstream));
  settle();
  from->remove();
  look_again();
  EXPECT_TRUE(test::is_reset(client));
}

TEST_F(ReconcilerTest, CountersOutliveAChangeOfTheRule) {
  const auto blue = make_netns("blue");
  ASSERT_TRUE(blue);
  add_rule("web", {named("blue")});
  reconciler().reconcile();
  const UniqueFd client = connect_in(blue->netns());
  ASSERT_TRUE(gets_connection(target_));
  auto changed = std::make_shared<Config>(*config_);
  changed->rules[0].half_close_timeout += Duration(1);
  changed->rules[0].reuse_port = false;  // takes a new socket
  reconciler().replace_config(changed);
  ASSERT_EQ(context_.traffic().series().size(), 1U);
  const auto series = context_.traffic().series()[0];
  EXPECT_EQ(series.key, (TrafficKey{"web", blue->name(), Protocol::Tcp}));
  EXPECT_EQ(series.counters->connections_total, 1U);
  const UniqueFd second = connect_in(blue->netns());
  EXPECT_TRUE(run_until([&] { return series.counters->connections_total == 2; }));
}

TEST_F(ReconcilerTest, ARuleThatIsCalledOtherwiseCountsAnew) {
  const auto blue = make_netns("blue");
  ASSERT_TRUE(blue);
  add_rule("web", {named("blue")});
  reconciler().reconcile();
  const UniqueFd client = connect_in(blue->netns());
  ASSERT_TRUE(gets_connection(target_));
  auto changed = std::make_shared<Config>(*config_);
  changed->rules[0].name = "app";
  reconciler().replace_config(changed);
  const UniqueFd second = connect_in(blue->netns());
  const auto total_of = [&](const char* rule) {
    return context_.traffic().totals_by_rule()[rule].connections_total;
  };
  EXPECT_TRUE(run_until([&] { return total_of("app") == 1; }));
  EXPECT_EQ(total_of("web"), 1U);
}

TEST_F(ReconcilerTest, CountersGoWithTheNamespaceOnceNothingRunsThere) {
  auto blue = make_netns("blue");
  ASSERT_TRUE(blue);
  add_rule("web", {named("blue")}).on_netns_delete = OnNetnsDelete::Keep;
  reconciler().reconcile();
  UniqueFd client = connect_in(blue->netns());
  ASSERT_TRUE(gets_connection(target_));
  blue.reset();
  look_again();
  EXPECT_EQ(context_.traffic().series().size(), 1U);
  test::reset(client);
  EXPECT_TRUE(run_until([&] { return context_.traffic().series().empty(); }));
  EXPECT_EQ(context_.traffic().totals().connections_total, 1U);
}

TEST_F(ReconcilerTest, CloseAllServesTheBacklogsAndListensNoMore) {
  const auto blue = make_netns("blue");
  ASSERT_TRUE(blue);
  add_rule("web", {named("blue"), named("absent")});
  reconciler().reconcile();
  const UniqueFd waiting = connect_in(blue->netns());
  reconciler().close_all();
  EXPECT_EQ(reconciler().listening(), 0U);
  EXPECT_EQ(reconciler().pending(), 0U);
  EXPECT_EQ(log_.count("event=listener_closed"), 1);
  EXPECT_TRUE(gets_connection(target_));
  EXPECT_FALSE(test::is_reset(waiting));
  EXPECT_FALSE(connect_in(blue->netns()));
}

}  // namespace
}  // namespace nsrelay
