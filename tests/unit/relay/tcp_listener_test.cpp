#include "nsrelay/relay/tcp_listener.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstring>

#include "relay_test.hpp"
#include "support/failing_system_call.hpp"
#include "support/system_limits.hpp"

namespace nsrelay {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

class TcpListenerTest : public test::RelayTest {
 protected:
  TcpListenerTest() {
    std::signal(SIGPIPE, SIG_IGN);
    add_target(test::local_address(target_));
  }

  void listen() {
    UniqueFd socket = test::make_listener();
    address_ = test::local_address(socket);
    auto made =
        TcpListener::create(context_, runtime(), pool(), listener_info(), std::move(socket));
    ASSERT_TRUE(made);
    listener_ = *std::move(made);
  }
  [[nodiscard]] UniqueFd connect() const { return test::connect_to(address_); }
  [[nodiscard]] std::size_t served() { return context_.connections().size(); }
  [[nodiscard]] bool serves(std::size_t count) {
    return run_until([&] { return served() == count; });
  }

  UniqueFd target_ = test::make_listener();
  SocketAddress address_;
  std::unique_ptr<TcpListener> listener_;
};

TEST_F(TcpListenerTest, MakesConnectionsOfClients) {
  listen();
  const UniqueFd first = connect();
  const UniqueFd second = connect();
  EXPECT_TRUE(serves(2));
  test::send_text(first, "hello");
  std::vector<UniqueFd> upstreams;
  while (upstreams.size() < 2) {
    ASSERT_TRUE(run_until([&] { return test::is_ready(target_, POLLIN); }));
    upstreams.push_back(test::accept_from(target_));
  }
  EXPECT_TRUE(run_until([&] {
    return test::is_ready(upstreams[0], POLLIN) || test::is_ready(upstreams[1], POLLIN);
  }));
}

TEST_F(TcpListenerTest, CallsTheClientByItsAddress) {
  listen();
  UniqueFd client = connect();
  const std::string name = test::local_address(client).to_string();
  ASSERT_TRUE(serves(1));
  settle();
  test::reset(client);
  ASSERT_TRUE(serves(0));
  EXPECT_THAT(log_.text(), HasSubstr("client=" + name + " listener=0.0.0.0:8000"));
}

TEST_F(TcpListenerTest, GivesResetsAStartNowAndThen) {
  listen();
  for (std::uint32_t i = 0; i < LoopTrace::kPeriod - LoopTrace::kWindow; ++i)
    context_.loop_trace().count_client();
  UniqueFd gone = connect();
  ASSERT_TRUE(test::wait_for(gone, POLLOUT));
  test::reset(gone);
  loop_->run_once(Duration(0));
  EXPECT_EQ(traffic().connections_total, 0U) << "it waits for the next iteration";
  loop_->run_once(Duration(0));
  EXPECT_EQ(traffic().connections_total, 1U);
  EXPECT_EQ(served(), 0U);
  EXPECT_THAT(log_.text(), HasSubstr("event=connection_closed rule=web"));
  EXPECT_THAT(log_.text(), HasSubstr("reason=client_reset"));
  EXPECT_FALSE(test::is_ready(target_, POLLIN)) << "and is not connected any further";
  const UniqueFd client = connect();
  EXPECT_TRUE(serves(1)) << "who is there is served";
}

TEST_F(TcpListenerTest, ResetsWhoIsDenied) {
  rule().deny = {*IpNetwork::parse("127.0.0.0/8")};
  listen();
  const UniqueFd client = connect();
  EXPECT_TRUE(run_until([&] { return test::is_reset(client); }));
  EXPECT_EQ(served(), 0U);
  EXPECT_THAT(log_.text(), HasSubstr("connection failed event=connection_failed rule=web"));
  EXPECT_THAT(log_.text(), HasSubstr("client=" + test::local_address(client).to_string()));
  EXPECT_THAT(log_.text(), HasSubstr("reason=denied"));
  EXPECT_EQ(traffic().connections_failed[Reason::Denied], 1U);
  EXPECT_EQ(runtime().active(), 0U);
}

TEST_F(TcpListenerTest, ServesOnlyWhoIsAllowed) {
  rule().allow = {*IpNetwork::parse("127.0.0.1")};
  listen();
  const UniqueFd allowed = connect();
  EXPECT_TRUE(serves(1));
}

TEST_F(TcpListenerTest, ResetsWhoIsNotAmongTheAllowed) {
  rule().allow = {*IpNetwork::parse("192.0.2.0/24")};
  listen();
  const UniqueFd other = connect();
  EXPECT_TRUE(run_until([&] { return test::is_reset(other); }));
  EXPECT_EQ(served(), 0U);
}

TEST_F(TcpListenerTest, AClientThatIsGoneAgainDoesNotStopTheNext) {
  listen();
  UniqueFd gone = connect();
  test::reset(gone);
  const UniqueFd stays = connect();
  EXPECT_TRUE(run_until([&] { return served() == 1 && test::is_ready(target_, POLLIN); }));
  EXPECT_THAT(log_.text(), Not(HasSubstr("accept_paused")));
}

TEST_F(TcpListenerTest, LeavesClientsInTheBacklogAtMaxConnectionsUntilOneEnds) {
  rule().max_connections = 2;
  listen();
  UniqueFd first = connect();
  const UniqueFd second = connect();
  const UniqueFd third = connect();
  ASSERT_TRUE(serves(2));
  settle();
  EXPECT_EQ(served(), 2U);
  EXPECT_FALSE(test::is_reset(third));
  test::reset(first);
  EXPECT_TRUE(run_until([&] { return traffic().connections_total == 3; }));
  EXPECT_LE(served(), 2U);
}

TEST_F(TcpListenerTest, MayBeDestroyedWhileItWaitsForRoom) {
  rule().max_connections = 1;
  listen();
  UniqueFd first = connect();
  const UniqueFd second = connect();
  ASSERT_TRUE(serves(1));
  settle();
  listener_.reset();
  test::reset(first);
  EXPECT_TRUE(serves(0));
  EXPECT_EQ(traffic().connections_total, 1U);
}

TEST_F(TcpListenerTest, PausesWhenOutOfDescriptorsAndResumesByItself) {
  listen();
  const UniqueFd client = connect();
  {
    const test::FewDescriptors limit(0);
    ASSERT_TRUE(run_until([&] { return log_.contains("accept_paused"); }));
    EXPECT_THAT(log_.text(), HasSubstr("reason=out_of_descriptors error=\"Too many open files\""));
    EXPECT_EQ(served(), 0U);
  }
  settle();
  EXPECT_EQ(served(), 0U);  // paused: no busy loop
  pass(milliseconds(99));
  settle();
  EXPECT_EQ(served(), 0U);
  pass(milliseconds(1));
  EXPECT_TRUE(serves(1));
  EXPECT_FALSE(test::is_reset(client));
}

TEST_F(TcpListenerTest, AcceptsNobodyUnlessADescriptorForTheUpstreamIsInReserve) {
  listen();
  context_.reserve().spend();
  const UniqueFd client = connect();
  {
    const test::FewDescriptors limit(0);
    ASSERT_TRUE(run_until([&] { return log_.contains("accept_paused"); }));
  }
  EXPECT_EQ(served(), 0U);
  pass(milliseconds(100));
  EXPECT_TRUE(serves(1));
  EXPECT_TRUE(context_.reserve().is_held());
}

TEST_F(TcpListenerTest, ServesOneMoreClientWithTheReserve) {
  listen();
  const UniqueFd first = connect();
  const UniqueFd second = connect();
  {
    const test::FewDescriptors limit(1);  // for the client; the upstream's comes from the reserve
    ASSERT_TRUE(run_until([&] { return log_.contains("accept_paused"); }));
    EXPECT_EQ(served(), 1U);
    EXPECT_FALSE(context_.reserve().is_held());
  }
  EXPECT_FALSE(test::is_reset(first));
  EXPECT_FALSE(test::is_reset(second));
  pass(milliseconds(100));
  EXPECT_TRUE(serves(2));
}

TEST_F(TcpListenerTest, LogsABurstOfPausesOnce) {
  listen();
  const UniqueFd client = connect();
  {
    const test::FewDescriptors limit(0);
    for (int i = 0; i < 10; ++i) {
      settle();
      pass(milliseconds(100));
    }
  }
  EXPECT_EQ(log_.count("accept_paused"), 1);
}

/// An error of accept4(2), and the reason with which accepting pauses; none: it goes on.
struct AcceptError {
  int error;
  const char* reason;
};

class AcceptErrorTest : public TcpListenerTest, public testing::WithParamInterface<AcceptError> {};

TEST_P(AcceptErrorTest, PausesForWhatSaysSomethingAboutTheNextClient) {
  const auto [error, reason] = GetParam();
  listen();
  const UniqueFd client = connect();
  test::with_failing_system_call({SYS_accept4, error}, [&] { settle(); });
  EXPECT_EQ(served(), 0U);
  if (reason == nullptr) {
    EXPECT_EQ(log_.text(), "");
  } else {
    EXPECT_THAT(log_.text(), HasSubstr(std::string("reason=") + reason + " error="));
    settle();
    EXPECT_EQ(served(), 0U);
    pass(milliseconds(100));
  }
  EXPECT_TRUE(serves(1));
}

INSTANTIATE_TEST_SUITE_P(
    EachClass, AcceptErrorTest,
    testing::Values(AcceptError{EMFILE, "out_of_descriptors"},
                    AcceptError{ENFILE, "out_of_descriptors"},
                    AcceptError{ENOBUFS, "out_of_memory"}, AcceptError{ENOMEM, "out_of_memory"},
                    AcceptError{EINVAL, "accept_failed"}, AcceptError{ECONNABORTED, nullptr},
                    AcceptError{EINTR, nullptr}, AcceptError{EPERM, nullptr},
                    AcceptError{EPROTO, nullptr}, AcceptError{ENETDOWN, nullptr},
                    AcceptError{EHOSTUNREACH, nullptr}, AcceptError{ETIMEDOUT, nullptr}),
    [](const auto& one) { return std::string(::strerrorname_np(one.param.error)); });

TEST_F(TcpListenerTest, AcceptBacklogTakesWhoeverHasConnectedAlready) {
  listen();
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 10; ++i)
    clients.push_back(connect());
  listener_->serve_backlog();
  EXPECT_EQ(served(), 10U);
  listener_.reset();
  settle();
  for (const UniqueFd& client : clients)
    EXPECT_FALSE(test::is_reset(client));
}

TEST_F(TcpListenerTest, ResetsTheBacklogWhenItCloses) {
  listen();
  const UniqueFd client = connect();
  ASSERT_TRUE(test::wait_for(client, POLLOUT));
  listener_.reset();
  EXPECT_TRUE(run_until([&] { return test::is_reset(client); }));
}

TEST_F(TcpListenerTest, ConnectionsOutliveTheirListener) {
  listen();
  const UniqueFd client = connect();
  ASSERT_TRUE(serves(1));
  const UniqueFd upstream = test::accept_from(target_);
  listener_.reset();
  test::send_text(client, "still here");
  EXPECT_TRUE(run_until([&] { return test::is_ready(upstream, POLLIN); }));
}

}  // namespace
}  // namespace nsrelay
