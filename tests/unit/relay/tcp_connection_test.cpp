#include "nsrelay/relay/tcp_connection.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <random>

#include "nsrelay/net/socket_options.hpp"
#include "relay_test.hpp"
#include "support/failing_system_call.hpp"

namespace nsrelay {
namespace {

using std::chrono::milliseconds;
using test::SocketPair;
using testing::HasSubstr;
using testing::Not;

class TcpConnectionTest : public test::RelayTest {
 protected:
  TcpConnectionTest() { std::signal(SIGPIPE, SIG_IGN); }

  /// A client that nsrelay has accepted, and the connection that serves it.
  TcpConnection& serve_client() {
    SocketPair pair = test::make_tcp_pair();
    client_ = std::move(pair.near);
    return serve(std::move(pair.far));
  }

  /// A connection that forwards between client_ and upstream_.
  TcpConnection& open(const SocketAddress& address = test::loopback()) {
    listener_ = test::make_listener(address);
    add_target(test::local_address(listener_));
    TcpConnection& connection = serve_client();
    upstream_ = test::accept_from(listener_);
    settle();
    return connection;
  }

  /// Whether `socket` gets exactly `text`, while the loop runs.
  bool arrives(const UniqueFd& socket, std::string_view text) {
    std::string got;
    const bool complete = run_until([&] {
      got += test::receive_text(socket);
      return got.size() >= text.size();
    });
    EXPECT_EQ(got, text);
    return complete;
  }
  bool is_told_end(const UniqueFd& socket) {
    return run_until([&] { return test::is_at_end(socket); });
  }
  bool is_told_reset(const UniqueFd& socket) {
    return run_until([&] { return test::is_reset(socket); });
  }
  [[nodiscard]] bool is_open() { return context_.connections().size() == 1; }
  [[nodiscard]] bool ends() {
    return run_until([&] { return context_.connections().size() == 0; });
  }
  static void finish_sending(const UniqueFd& socket) {
    EXPECT_EQ(::shutdown(socket.get(), SHUT_WR), 0);
  }

  UniqueFd listener_;
  UniqueFd client_;
  UniqueFd upstream_;
};

TEST_F(TcpConnectionTest, ForwardsBothWays) {
  open();
  test::send_text(client_, "question");
  EXPECT_TRUE(arrives(upstream_, "question"));
  test::send_text(upstream_, "answer");
  EXPECT_TRUE(arrives(client_, "answer"));
  EXPECT_EQ(runtime().active(), 1U);
}

TEST_F(TcpConnectionTest, KeepsWhatTheClientSaidBeforeTheUpstreamWasThere) {
  listener_ = test::make_listener();
  add_target(test::local_address(listener_));
  SocketPair pair = test::make_tcp_pair();
  client_ = std::move(pair.near);
  test::send_text(client_, "early");
  finish_sending(client_);
  serve(std::move(pair.far));
  upstream_ = test::accept_from(listener_);
  EXPECT_TRUE(arrives(upstream_, "early"));
  EXPECT_TRUE(is_told_end(upstream_));
}

TEST_F(TcpConnectionTest, ForwardsAFinBehindTheLastByteAndTheLateReply) {
  open();
  test::send_text(client_, "all of it");
  finish_sending(client_);
  EXPECT_TRUE(arrives(upstream_, "all of it"));
  EXPECT_TRUE(is_told_end(upstream_));
  EXPECT_TRUE(is_open());
  test::send_text(upstream_, "late reply");
  EXPECT_TRUE(arrives(client_, "late reply"));
  finish_sending(upstream_);
  EXPECT_TRUE(is_told_end(client_));
  EXPECT_TRUE(ends());
  EXPECT_THAT(log_.text(), HasSubstr("reason=client_closed"));
}

TEST_F(TcpConnectionTest, ForwardsTheUpstreamsFinAndWhatTheClientStillSays) {
  open();
  test::send_text(upstream_, "greeting");
  finish_sending(upstream_);
  EXPECT_TRUE(arrives(client_, "greeting"));
  EXPECT_TRUE(is_told_end(client_));
  test::send_text(client_, "thanks");
  EXPECT_TRUE(arrives(upstream_, "thanks"));
  finish_sending(client_);
  EXPECT_TRUE(is_told_end(upstream_));
  EXPECT_TRUE(ends());
  EXPECT_THAT(log_.text(), HasSubstr("reason=upstream_closed"));
}

TEST_F(TcpConnectionTest, RecordsEveryFieldOfAConnectionThatEnded) {
  open();
  const std::string target = test::local_address(listener_).to_string();
  test::send_text(client_, "12345");
  EXPECT_TRUE(arrives(upstream_, "12345"));
  test::send_text(upstream_, "123");
  EXPECT_TRUE(arrives(client_, "123"));
  pass(milliseconds(1500));
  finish_sending(client_);
  finish_sending(upstream_);
  ASSERT_TRUE(ends());
  EXPECT_THAT(log_.text(),
              HasSubstr(" info connection closed event=connection_closed rule=web netns=blue "
                        "protocol=tcp client=192.0.2.1:5000 listener=0.0.0.0:8000 upstream=" +
                        target + " received=5 sent=3 duration=1500000 reason="));
  EXPECT_EQ(log_.count("event="), 1);
  EXPECT_EQ(traffic().bytes_received, 5U);
  EXPECT_EQ(traffic().bytes_sent, 3U);
  EXPECT_EQ(traffic().connections_total, 1U);
  EXPECT_EQ(traffic().connections_failed.sum(), 0U);
  EXPECT_EQ(runtime().active(), 0U);
}

TEST_F(TcpConnectionTest, RecordsNothingButFailuresWhenTheUserWantsNoRecords) {
  context_.set_logs_connections(false);
  open();
  finish_sending(client_);
  finish_sending(upstream_);
  ASSERT_TRUE(ends());
  EXPECT_EQ(log_.text(), "");
}

TEST_F(TcpConnectionTest, ForwardsTheClientsResetBehindItsLastByte) {
  open();
  test::send_text(client_, "last words");
  ASSERT_TRUE(run_until([&] { return unacknowledged_bytes(client_.get()) == 0; }));
  test::reset(client_);
  EXPECT_TRUE(run_until([&] {
    pass(milliseconds(1));  // nothing tells when the last byte is acknowledged: it is polled
    return context_.connections().size() == 0;
  }));
  EXPECT_EQ(test::receive_text(upstream_), "last words");
  EXPECT_TRUE(test::is_reset(upstream_));
  EXPECT_THAT(log_.text(), HasSubstr("reason=client_reset"));
}

TEST_F(TcpConnectionTest, ForwardsTheUpstreamsResetBehindItsLastByte) {
  open();
  test::send_text(upstream_, "last words");
  ASSERT_TRUE(run_until([&] { return unacknowledged_bytes(upstream_.get()) == 0; }));
  test::reset(upstream_);
  EXPECT_TRUE(run_until([&] {
    pass(milliseconds(1));
    return context_.connections().size() == 0;
  }));
  EXPECT_EQ(test::receive_text(client_), "last words");
  EXPECT_TRUE(test::is_reset(client_));
  EXPECT_THAT(log_.text(), HasSubstr("reason=upstream_reset"));
}

/// Sends until nothing more is taken. Returns how many bytes that were.
std::size_t fill(const UniqueFd& socket, const std::function<void()>& let_it_flow) {
  const std::string block(100'000, 'x');
  std::size_t sent = 0;
  for (int idle = 0; idle < 5; ++idle) {
    for (ssize_t count = 0; count >= 0;
         sent += static_cast<std::size_t>(std::max<ssize_t>(count, 0))) {
      count = ::send(socket.get(), block.data(), block.size(), MSG_NOSIGNAL);
      if (count > 0)
        idle = 0;
    }
    let_it_flow();
  }
  return sent;
}

TEST_F(TcpConnectionTest, AResetDoesNotOvertakeWhatASlowReaderHasNotRead) {
  open();
  // Less than the client's kernel keeps for itself would be lost with its reset: wait for the ack.
  const std::string data(1'000'000, 'x');
  std::size_t sent = 0;
  ASSERT_TRUE(run_until([&] {
    if (sent < data.size())
      if (const ssize_t count = ::send(upstream_.get(), data.data() + sent, data.size() - sent, 0);
          count > 0)
        sent += static_cast<std::size_t>(count);
    return sent == data.size() && unacknowledged_bytes(upstream_.get()) == 0;
  }));
  test::reset(upstream_);
  settle();
  std::size_t received = 0;
  ASSERT_TRUE(run_until([&] {
    received += test::receive_text(client_, 10'000).size();
    pass(milliseconds(1));
    return received == data.size();
  }));
  EXPECT_TRUE(run_until([&] {
    pass(milliseconds(100));
    return test::is_reset(client_);
  }));
  EXPECT_THAT(log_.text(), HasSubstr("sent=1000000"));
}

TEST_F(TcpConnectionTest, AReaderThatStoppedStopsTheSender) {
  open();
  const std::size_t sent = fill(client_, [&] { settle(); });
  EXPECT_LT(sent, 16U * 1024 * 1024);
  EXPECT_TRUE(is_open());
  std::size_t received = 0;
  ASSERT_TRUE(run_until([&] {
    received += test::receive_text(upstream_).size();
    return received == sent;
  }));
}

TEST_F(TcpConnectionTest, AResetIsNotHeldBackForEverByAReaderThatStopped) {
  rule().half_close_timeout = Duration(1000);
  open();
  fill(client_, [&] { settle(); });
  test::reset(client_);
  settle();
  EXPECT_TRUE(is_open());
  pass(milliseconds(999));
  EXPECT_TRUE(is_open());
  EXPECT_TRUE(run_until([&] {
    pass(milliseconds(100));
    return context_.connections().size() == 0;
  }));
}

TEST_F(TcpConnectionTest, EndsAfterIdleTimeoutAndResetsBoth) {
  rule().idle_timeout = Duration(10'000);
  open();
  pass(milliseconds(9'999));
  EXPECT_TRUE(is_open());
  pass(milliseconds(1));
  EXPECT_TRUE(ends());
  EXPECT_TRUE(is_told_reset(client_));
  EXPECT_TRUE(is_told_reset(upstream_));
  EXPECT_THAT(log_.text(), HasSubstr("duration=10000000 reason=idle_timeout"));
}

TEST_F(TcpConnectionTest, AByteInEitherDirectionStartsIdleTimeoutAnew) {
  rule().idle_timeout = Duration(10'000);
  open();
  for (const UniqueFd* sender : {&client_, &upstream_}) {
    pass(milliseconds(9'999));
    test::send_text(*sender, "x");
    EXPECT_TRUE(arrives(sender == &client_ ? upstream_ : client_, "x"));
  }
  pass(milliseconds(9'999));
  EXPECT_TRUE(is_open());
  pass(milliseconds(1));
  EXPECT_TRUE(ends());
}

TEST_F(TcpConnectionTest, NeverIdlesOutWhenIdleTimeoutIsOff) {
  rule().idle_timeout.reset();
  open();
  pass(std::chrono::hours(1000));
  EXPECT_TRUE(is_open());
}

TEST_F(TcpConnectionTest, EndsAfterHalfCloseTimeoutBehindOneFin) {
  rule().half_close_timeout = Duration(2'000);
  open();
  finish_sending(client_);
  EXPECT_TRUE(is_told_end(upstream_));
  pass(milliseconds(1'999));
  EXPECT_TRUE(is_open());
  test::send_text(upstream_, "x");  // every byte starts it anew
  EXPECT_TRUE(arrives(client_, "x"));
  pass(milliseconds(1'999));
  EXPECT_TRUE(is_open());
  pass(milliseconds(1));
  EXPECT_TRUE(ends());
  EXPECT_TRUE(is_told_reset(client_));
  // After a FIN a reset shows as this: reading gives the end still.
  EXPECT_TRUE(run_until([&] { return take_socket_error(upstream_.get()) == EPIPE; }));
  EXPECT_THAT(log_.text(), HasSubstr("reason=half_close_timeout"));
}

TEST_F(TcpConnectionTest, HalfCloseTimeoutCountsFromTheFinOfAConnectionThatWasQuiet) {
  rule().half_close_timeout = Duration(2'000);
  open();
  pass(milliseconds(60'000));
  finish_sending(client_);
  EXPECT_TRUE(is_told_end(upstream_));
  settle();
  EXPECT_TRUE(is_open());
  pass(milliseconds(1'999));
  EXPECT_TRUE(is_open());
  test::send_text(upstream_, "late");
  EXPECT_TRUE(arrives(client_, "late"));
  pass(milliseconds(2'000));
  EXPECT_TRUE(ends());
}

TEST_F(TcpConnectionTest, EndResetsBothWithTheGivenReason) {
  TcpConnection& connection = open();
  connection.end(Reason::Drained);
  connection.end(Reason::IdleTimeout);
  EXPECT_TRUE(ends());
  EXPECT_TRUE(is_told_reset(client_));
  EXPECT_TRUE(is_told_reset(upstream_));
  EXPECT_EQ(log_.count("reason=drained"), 1);
  EXPECT_EQ(log_.count("event=connection_closed"), 1);
}

TEST_F(TcpConnectionTest, EndWhileConnectingResetsTheClient) {
  listener_ = test::make_listener(test::loopback(), 0);
  const UniqueFd filler = test::connect_to(test::local_address(listener_));
  ASSERT_TRUE(test::wait_for(listener_, POLLIN));
  add_target(test::local_address(listener_));
  serve_client().end(Reason::NetnsDeleted);
  EXPECT_TRUE(ends());
  EXPECT_TRUE(is_told_reset(client_));
  settle();
  EXPECT_EQ(log_.count("event="), 1);
}

TEST_F(TcpConnectionTest, ResetsTheClientWhenTheTargetRefuses) {
  const UniqueFd unused = test::reserve_port();
  const std::string target = test::local_address(unused).to_string();
  context_.set_logs_connections(false);  // failures are recorded all the same
  add_target(test::local_address(unused));
  serve_client();
  EXPECT_TRUE(ends());
  EXPECT_TRUE(is_told_reset(client_));
  EXPECT_THAT(log_.text(), HasSubstr("warn upstream failed event=upstream_failed rule=web "
                                     "netns=blue protocol=tcp upstream=" +
                                     target +
                                     " reason=connect_refused error=\"connect: Connection "
                                     "refused\"\n"));
  EXPECT_THAT(log_.text(), HasSubstr("warn connection failed event=connection_failed"));
  EXPECT_THAT(log_.text(), HasSubstr("upstream=" + target + " received=0 sent=0"));
  EXPECT_EQ(traffic().connections_failed[Reason::ConnectRefused], 1U);
  EXPECT_EQ(runtime().active(), 0U);
}

TEST_F(TcpConnectionTest, EndsWhenTheClientResetsBeforeThereIsAnUpstream) {
  listener_ = test::make_listener(test::loopback(), 0);
  const UniqueFd filler = test::connect_to(test::local_address(listener_));
  ASSERT_TRUE(test::wait_for(listener_, POLLIN));
  add_target(test::local_address(listener_));
  serve_client();
  settle();
  EXPECT_TRUE(is_open());
  test::reset(client_);
  EXPECT_TRUE(ends());
  EXPECT_THAT(log_.text(), HasSubstr("reason=client_reset"));
}

TEST_F(TcpConnectionTest, DeliversWhatAClientSaidThatResetBeforeThereWasAnUpstream) {
  const std::string name = "@nsrelay-unit-" + std::to_string(::getpid()) + "-late";
  listener_ = test::make_listener(*SocketAddress::unix_path(name), 0);
  UniqueFd filler = test::connect_to(test::local_address(listener_));
  add_target(test::local_address(listener_));
  serve_client();
  test::send_text(client_, "last words");
  ASSERT_TRUE(run_until([&] { return unacknowledged_bytes(client_.get()) == 0; }));
  test::reset(client_);
  settle();
  ASSERT_TRUE(is_open());
  const UniqueFd first = test::accept_from(listener_);
  pass(milliseconds(5));
  upstream_ = test::accept_from(listener_);
  EXPECT_TRUE(arrives(upstream_, "last words"));
  EXPECT_TRUE(ends());
}

TEST_F(TcpConnectionTest, ForwardsToAUnixSocket) {
  const std::string name = "@nsrelay-unit-" + std::to_string(::getpid()) + "-unix";
  open(*SocketAddress::unix_path(name));
  test::send_text(client_, "question");
  EXPECT_TRUE(arrives(upstream_, "question"));
  test::send_text(upstream_, "answer");
  finish_sending(upstream_);
  EXPECT_TRUE(arrives(client_, "answer"));
  EXPECT_TRUE(is_told_end(client_));
  finish_sending(client_);
  EXPECT_TRUE(is_told_end(upstream_));
  EXPECT_TRUE(ends());
  EXPECT_THAT(log_.text(), HasSubstr("upstream=unix:" + name + " "));
}

TEST_F(TcpConnectionTest, ForwardsUrgentBytesInThePlaceWhereTheyWereSent) {
  // As the listener does for what it accepts: apply_tcp_options().
  listener_ = test::make_listener();
  add_target(test::local_address(listener_));
  SocketPair pair = test::make_tcp_pair();
  ASSERT_TRUE(apply_tcp_options(pair.far.get(), {}));
  client_ = std::move(pair.near);
  serve(std::move(pair.far));
  upstream_ = test::accept_from(listener_);
  test::send_text(client_, "before");
  ASSERT_EQ(::send(client_.get(), "!", 1, MSG_OOB), 1);
  test::send_text(client_, "after");
  EXPECT_TRUE(arrives(upstream_, "before!after"));
}

TEST_F(TcpConnectionTest, WaitsWhenThereIsNoMemoryAndGoesOn) {
  open();
  test::send_text(client_, "patience");
  test::with_failing_system_call({SYS_recvfrom, ENOBUFS}, [&] { settle(); });
  EXPECT_TRUE(is_open());
  EXPECT_EQ(test::receive_text(upstream_), "");
  pass(milliseconds(20));
  EXPECT_TRUE(arrives(upstream_, "patience"));
  finish_sending(client_);
  finish_sending(upstream_);
  EXPECT_TRUE(ends());
}

TEST_F(TcpConnectionTest, KnowsTheNamespaceThatItsUpstreamWasConnectedFrom) {
  listener_ = test::make_listener();
  add_target(test::local_address(listener_));
  TcpConnection& connection = serve_client();
  EXPECT_EQ(connection.upstream_cookie(),
            entry_.netns->cookie());  // it is being connected from there
  settle();
  EXPECT_EQ(connection.upstream_cookie(), entry_.netns->cookie());
  EXPECT_EQ(connection.listener().cookie, 7U);
}

TEST_F(TcpConnectionTest, TellsItsStatus) {
  const TcpConnection& connection = open();
  test::send_text(client_, "question");
  EXPECT_TRUE(arrives(upstream_, "question"));
  test::send_text(upstream_, "yes");
  EXPECT_TRUE(arrives(client_, "yes"));
  const ForwardedStatus status = connection.status();
  EXPECT_EQ(status.listener->address, "0.0.0.0:8000");
  EXPECT_EQ(status.client.to_string(), "192.0.2.1:5000");
  EXPECT_EQ(status.upstream, test::local_address(listener_).to_string());
  EXPECT_EQ(status.upstream_netns, "blue");
  EXPECT_EQ(status.began, time_);
  EXPECT_EQ(status.bytes_received, 8U);
  EXPECT_EQ(status.bytes_sent, 3U);
}

TEST_F(TcpConnectionTest, HasNoUpstreamInItsStatusBeforeOneIsConnected) {
  listener_ = test::make_listener(test::loopback(), 0);
  add_target(test::local_address(listener_));
  const UniqueFd filler = test::connect_to(test::local_address(listener_));
  EXPECT_EQ(serve_client().status().upstream, "");
}

TEST_F(TcpConnectionTest, LeavesNothingBehindOnTheLoop) {
  TcpConnection& connection = open();
  connection.end(Reason::Drained);
  settle();
  EXPECT_EQ(loop_->timers().size(), 0U);
  EXPECT_FALSE(loop_->timers().next_deadline());
}

TEST_F(TcpConnectionTest, ForwardsBulkBothWaysAtOnceWithoutAFault) {
  open();
  std::mt19937 random(1);
  std::string up(4'000'000, '\0');
  std::string down(3'000'000, '\0');
  for (std::string* data : {&up, &down})
    for (char& byte : *data)
      byte = static_cast<char>(random());
  struct Stream {
    const UniqueFd& from;
    const UniqueFd& to;
    const std::string& data;
    std::size_t sent = 0;
    std::string got = {};

    void move() {
      if (sent < data.size()) {
        const ssize_t count =
            ::send(from.get(), data.data() + sent, data.size() - sent, MSG_NOSIGNAL);
        sent += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
      }
      got += test::receive_text(to, 300'000);
    }
  };
  Stream streams[] = {{client_, upstream_, up}, {upstream_, client_, down}};
  EXPECT_TRUE(run_until([&] {
    for (Stream& stream : streams)
      stream.move();
    return streams[0].got.size() >= up.size() && streams[1].got.size() >= down.size();
  }));
  EXPECT_TRUE(streams[0].got == up);
  EXPECT_TRUE(streams[1].got == down);
}

TEST_F(TcpConnectionTest, IsSmall) {
  // What an idle one costs besides: two watchers, a timer, a place in the table (80 bytes).
  EXPECT_LE(sizeof(TcpConnection), 280U);
}

}  // namespace
}  // namespace nsrelay
