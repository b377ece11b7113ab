#include "nsrelay/control/http_server.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "http_client.hpp"
#include "http_connection.hpp"
#include "support/system_limits.hpp"

namespace nsrelay {
namespace {

using test::HttpClient;
using testing::HasSubstr;
using testing::StartsWith;

/// So many pieces of a thousand bytes each.
class Pieces final : public HttpBody {
 public:
  explicit Pieces(int count) : count_(count) {}
  bool append_next(std::string& out) noexcept override {
    out.append(1000, 'x');
    return --count_ > 0;
  }

 private:
  int count_;
};

class HttpServerTest : public test::LoopTest {
 protected:
  void start(std::size_t most_connections = HttpServer::kMostConnections,
             const SocketAddress& at = test::loopback()) {
    UniqueFd socket = test::make_listener(at);
    address_ = test::local_address(socket);
    auto made = HttpServer::create(
        *loop_, std::move(socket),
        {{"GET", "/now", Delegate<void(const HttpExchangePtr&)>::to<&HttpServerTest::on_now>(this)},
         {"POST", "/later",
          Delegate<void(const HttpExchangePtr&)>::to<&HttpServerTest::on_later>(this)},
         {"GET", "/long",
          Delegate<void(const HttpExchangePtr&)>::to<&HttpServerTest::on_long>(this)}},
        most_connections);
    ASSERT_TRUE(made) << made.error().message();
    server_ = *std::move(made);
  }

  void on_now(const HttpExchangePtr& exchange) noexcept {
    ++asked_;
    std::string body;
    for (const auto& [name, value] : exchange->request().arguments)
      body.append(name).append("=").append(value).append(";");
    exchange->answer({200, body, "text/plain"});
  }
  void on_later(const HttpExchangePtr& exchange) noexcept { waiting_.push_back(exchange); }
  void on_long(const HttpExchangePtr& exchange) noexcept {
    HttpAnswer answer{200, "head:"};
    answer.rest = std::make_unique<Pieces>(pieces_);
    exchange->answer(std::move(answer));
  }

  static SocketAddress unix_address() {
    return *SocketAddress::unix_path("@nsrelay-http-test-" + std::to_string(::getpid()));
  }

  /// Sends `text` and returns everything that comes until the server closes.
  std::string answer_to(std::string_view text) {
    HttpClient client(address_);
    client.send(text);
    EXPECT_TRUE(run_until([&] { return client.is_over(); })) << text;
    return client.text();
  }

  SocketAddress address_;
  std::vector<HttpExchangePtr> waiting_;
  int asked_ = 0;
  int pieces_ = 1000;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersARequestAndCloses) {
  start();
  HttpClient client(address_);
  client.get("/now?b=2&a=x%20y&empty");
  ASSERT_TRUE(run_until([&] { return client.is_over(); }));
  EXPECT_EQ(client.status(), "200");
  EXPECT_EQ(client.body(), "a=x y;b=2;empty=;");
  EXPECT_THAT(client.text(), HasSubstr("Content-Type: text/plain\r\n"));
  EXPECT_THAT(client.text(), HasSubstr("Connection: close\r\n"));
  EXPECT_EQ(server_->connections(), 0U);
}

TEST_F(HttpServerTest, ServesAUnixSocket) {
  start(1, unix_address());
  HttpClient client(address_);
  client.get("/now");
  ASSERT_TRUE(run_until([&] { return client.is_over(); }));
  EXPECT_EQ(client.status(), "200");
}

TEST_F(HttpServerTest, AnswersHeadWithoutABody) {
  start();
  const std::string text = answer_to("HEAD /now?a=1 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(text, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(text, HasSubstr("Content-Length: 4\r\n"));
  EXPECT_THAT(text, testing::EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, AnswersLater) {
  start();
  HttpClient client(address_);
  client.send("POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return !waiting_.empty(); }));
  pass(std::chrono::hours(1));  // waiting for the daemon is not the client's fault
  settle();
  EXPECT_TRUE(waiting_[0]->is_open());
  EXPECT_FALSE(client.is_over());
  waiting_[0]->answer({202, "done"});
  ASSERT_TRUE(run_until([&] { return client.is_over(); }));
  EXPECT_EQ(client.status(), "202");
  EXPECT_EQ(client.body(), "done");
  EXPECT_FALSE(waiting_[0]->is_open());
}

TEST_F(HttpServerTest, FreesThePlaceOfAClientThatLeftWhileItWaited) {
  start(1, unix_address());
  HttpClient client(address_);
  client.send("POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return !waiting_.empty(); }));
  client.leave();
  ASSERT_TRUE(run_until([&] { return server_->connections() == 0; }));
  EXPECT_FALSE(waiting_[0]->is_open());
  waiting_[0]->answer({200, "nobody reads this"});
  EXPECT_EQ(waiting_.size(), 1U);  // it was not asked again
}

TEST_F(HttpServerTest, EndsWhileAClientWaits) {
  start();
  HttpClient client(address_);
  client.send("POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return !waiting_.empty(); }));
  server_.reset();
  EXPECT_FALSE(waiting_[0]->is_open());
  waiting_[0]->answer({200, "too late"});
  ASSERT_TRUE(run_until([&] { return client.is_over(); }));
  EXPECT_EQ(client.text(), "");
}

TEST_F(HttpServerTest, SendsALongBodyInPieces) {
  start();
  HttpClient client(address_);
  client.send("GET /long HTTP/1.0\r\n\r\n");
  int iterations = 0;
  ASSERT_TRUE(run_until([&] {
    ++iterations;
    return client.is_over();
  }));
  EXPECT_EQ(client.body(), "head:" + std::string(1'000'000, 'x'));
  EXPECT_GT(iterations, 20);  // the loop had its turn between them
}

TEST_F(HttpServerTest, SaysWhatItDoesNotServe) {
  start();
  EXPECT_THAT(answer_to("GET /nowhere\" HTTP/1.1\r\nHost: h\r\n\r\n"),
              testing::AllOf(StartsWith("HTTP/1.1 404 "),
                             HasSubstr("\r\n\r\n{\"error\":\"/nowhere\\\": not found\"}\n")));
  EXPECT_THAT(answer_to("POST /now HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"),
              testing::AllOf(StartsWith("HTTP/1.1 405 "),
                             HasSubstr("{\"error\":\"/now: not with POST\"}")));
  EXPECT_EQ(asked_, 0);
}

TEST_F(HttpServerTest, SurvivesWhatIsNotHttp) {
  start();
  const std::string long_header = "GET /now HTTP/1.1\r\nHost: h\r\nX: " + std::string(60'000, 'y');
  const std::string long_line = "GET /" + std::string(60'000, 'z') + " HTTP/1.1\r\n\r\n";
  const std::string binary("\1\2\xff\xfe\0\r\n\r\n", 9);
  for (const std::string& text :
       {binary, long_header, long_line, std::string("\r\n\r\n\r\nnonsense\r\n\r\n"),
        std::string("GET\r\n\r\n"), std::string("GET /now HTTP/9.9\r\n\r\n"),
        std::string("POST /now HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n"),
        std::string("POST /now HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")})
    EXPECT_THAT(answer_to(text), testing::Not(HasSubstr(" 200 "))) << text.substr(0, 40);
  EXPECT_EQ(server_->connections(), 0U);
  EXPECT_THAT(answer_to("GET /now HTTP/1.1\r\nHost: h\r\n\r\n"), HasSubstr(" 200 "));
}

TEST_F(HttpServerTest, CutsABodyThatIsTooLong) {
  start();
  HttpClient client(address_);
  client.send("POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
  for (int i = 0; i < 3; ++i) {
    client.send(std::string(30'000, 'b'));
    settle();
  }
  EXPECT_TRUE(run_until([&] { return client.is_over(); }));
  EXPECT_TRUE(waiting_.empty());
}

TEST_F(HttpServerTest, IgnoresAShortBody) {
  start();
  HttpClient client(address_);
  client.send("POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
  ASSERT_TRUE(run_until([&] { return !waiting_.empty(); }));
}

TEST_F(HttpServerTest, CutsARequestThatTakesTooLongHoweverItTrickles) {
  start();
  HttpClient client(address_);
  client.send("GET /now HTTP/1.1\r\n");
  ASSERT_TRUE(run_until([&] { return server_->connections() == 1; }));
  for (Duration time{0}; time < HttpConnection::kRequestTime; time += Duration(1000)) {
    EXPECT_FALSE(client.is_over());
    client.send("x");
    pass(Duration(1000));
    settle();
  }
  EXPECT_TRUE(run_until([&] { return client.is_over(); }));
  EXPECT_EQ(server_->connections(), 0U);
}

TEST_F(HttpServerTest, CutsAClientThatDoesNotReadItsAnswer) {
  pieces_ = 1'000'000;  // more than the kernel takes
  start();
  HttpClient client(address_);
  client.get("/long");
  ASSERT_TRUE(run_until([&] { return server_->connections() == 1; }));
  settle();
  pass(HttpConnection::kAnswerTime);
  EXPECT_TRUE(run_until([&] { return server_->connections() == 0; }));
}

TEST_F(HttpServerTest, MoreClientsThanAllowedWaitInTheBacklog) {
  start(2);
  HttpClient first(address_);
  HttpClient second(address_);
  HttpClient third(address_);
  third.get("/now");
  ASSERT_TRUE(run_until([&] { return server_->connections() == 2; }));
  settle();
  EXPECT_EQ(asked_, 0);
  first.leave();
  ASSERT_TRUE(run_until([&] { return third.is_over(); }));
  EXPECT_EQ(third.status(), "200");
}

TEST_F(HttpServerTest, ServesOneClientWithoutFreeDescriptors) {
  start();
  HttpClient first(address_);
  HttpClient second(address_);
  const test::FewDescriptors none;
  first.get("/now");
  second.get("/now");
  ASSERT_TRUE(run_until([&] { return first.is_over(); }));
  EXPECT_EQ(first.status(), "200");
  ASSERT_TRUE(run_until([&] {
    time_ += Duration(100);
    return second.is_over();
  }));
  EXPECT_EQ(second.status(), "200");
}

/// The descriptors that a child process would have.
std::set<int> inherited() {
  std::set<int> found;
  for (int fd = 0; fd < 128; ++fd)
    if (const int flags = ::fcntl(fd, F_GETFD); flags >= 0 && (flags & FD_CLOEXEC) == 0)
      found.insert(fd);
  return found;
}

TEST_F(HttpServerTest, ItsDescriptorsAreNotInherited) {
  const std::set<int> before = inherited();
  start();
  const HttpClient client(address_);
  ASSERT_TRUE(run_until([&] { return server_->connections() == 1; }));
  EXPECT_EQ(inherited(), before);
}

TEST_F(HttpServerTest, DoesNotSpinWhileNothingHappens) {
  start();
  const HttpClient idle(address_);
  HttpClient waiting(address_);
  waiting.send("POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return !waiting_.empty() && server_->connections() == 2; }));
  settle();
  const auto before = std::chrono::steady_clock::now();
  loop_->run_once(std::chrono::milliseconds(50));
  EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(40));
}

}  // namespace
}  // namespace nsrelay
