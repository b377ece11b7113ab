#include "nsrelay/control/http_server.hpp"

#include <microhttpd.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "http_connection.hpp"
#include "nsrelay/net/socket_address.hpp"

namespace nsrelay {
namespace {

constexpr int kAcceptBudget = 16;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr std::size_t kMemoryOfConnection = std::size_t{32} * 1024;

HttpConnection* connection_of(MHD_Connection* connection) {
  return static_cast<HttpConnection*>(
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context);
}

/// libmicrohttpd's access handler: called with the headers, with each piece of a body, and when the
/// request is complete; then again after a wait.
MHD_Result on_access(void* /*server*/, MHD_Connection* from, const char* url, const char* method,
                     const char* /*version*/, const char* /*upload*/, std::size_t* upload_bytes,
                     void** state) {
  HttpConnection& connection = *connection_of(from);
  bool ok = false;
  if (*state == nullptr) {
    *state = &connection;
    ok = connection.on_headers(method, url);
  } else if (*upload_bytes > 0) {
    ok = connection.on_body(std::exchange(*upload_bytes, 0));
  } else {
    ok = connection.on_complete();
  }
  return ok ? MHD_YES : MHD_NO;
}

}  // namespace

HttpAnswer HttpAnswer::error(int status, std::string_view message) {
  using Json = nlohmann::json;
  const Json json = {{"error", message}};
  return {status, json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"};
}

void HttpServer::StopDaemon::operator()(MHD_Daemon* daemon) const {
  MHD_stop_daemon(daemon);
}

Result<std::unique_ptr<HttpServer>> HttpServer::create(EventLoop& loop, UniqueFd listening_socket,
                                                       std::vector<HttpRoute> routes,
                                                       std::size_t most_connections) {
  std::unique_ptr<HttpServer> server(
      new HttpServer(loop, std::move(listening_socket), std::move(routes), most_connections));
  if (auto started = server->start(); !started)
    return std::move(started).error().with_context("HTTP server");
  return server;
}

HttpServer::HttpServer(EventLoop& loop, UniqueFd listening_socket, std::vector<HttpRoute> routes,
                       std::size_t most_connections)
    : loop_(loop),
      socket_(std::move(listening_socket)),
      routes_(std::move(routes)),
      most_connections_(most_connections),
      work_watcher_(loop),
      accept_watcher_(loop),
      run_soon_(loop, Delegate<void()>::to<&HttpServer::run>(this)),
      accept_timer_(loop.timers(), Delegate<void()>::to<&HttpServer::on_resume_accepting>(this)) {}

HttpServer::~HttpServer() {
  close_listener();
  work_watcher_.stop();
  for (const auto& connection : connections_)
    connection->give_up();
  daemon_.reset();
}

void HttpServer::close_listener() {
  accept_timer_.stop();
  accept_watcher_.stop_and_close(socket_);
}

Result<void> HttpServer::start() {
  const MHD_NotifyConnectionCallback on_connection = [](void* self, MHD_Connection* connection,
                                                        void** state,
                                                        MHD_ConnectionNotificationCode code) {
    HttpServer& server = *static_cast<HttpServer*>(self);
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
      server.ended(*static_cast<HttpConnection*>(*state));
      return;
    }
    const int fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    auto made = std::make_unique<HttpConnection>(server, server.loop_, *connection, fd);
    *state = made.get();
    server.began(std::move(made));
  };
  daemon_.reset(MHD_start_daemon(
      MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, nullptr, nullptr,
      &on_access, this, MHD_OPTION_NOTIFY_CONNECTION, on_connection, this,
      MHD_OPTION_CONNECTION_LIMIT, static_cast<unsigned>(most_connections_),
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, kMemoryOfConnection, MHD_OPTION_END));
  if (!daemon_)
    return Error::from_errno("libmicrohttpd");
  const int epoll = MHD_get_daemon_info(daemon_.get(), MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
  if (auto watching =
          work_watcher_.start(epoll, EPOLLIN, IoCallback::to<&HttpServer::on_work>(this));
      !watching)
    return watching;
  return accept_watcher_.start(socket_.get(), EPOLLIN,
                               IoCallback::to<&HttpServer::on_acceptable>(this));
}

void HttpServer::on_work(std::uint32_t /*events*/) noexcept {
  run();
}

void HttpServer::run() noexcept {
  MHD_run(daemon_.get());
  // Not in ended(): only now has libmicrohttpd closed the descriptor of a connection that ended.
  if (accept_watcher_.is_watching())
    (void)reserve_.hold();
  // No connection has a timeout of libmicrohttpd's, so all that it can say is "now" or nothing.
  MHD_UNSIGNED_LONG_LONG milliseconds = 0;
  if (MHD_get_timeout(daemon_.get(), &milliseconds) == MHD_YES) {
    run_soon_.schedule();
    return;
  }
  for (const auto& connection : connections_)
    connection->end_if_abandoned();
}

// ---------------------------------------------------------------------------- accepting

void HttpServer::on_acceptable(std::uint32_t /*events*/) noexcept {
  for (int i = 0; i < kAcceptBudget; ++i)
    if (!accept_one())
      return;
}

/// False: nobody else can be accepted now.
bool HttpServer::accept_one() {
  if (connections_.size() >= most_connections_) {
    set_accepting(false);
    return false;
  }
  SocketAddress peer;
  const auto accept = [&] {
    return ::accept4(socket_.get(), peer.data(), peer.size_to_fill(), SOCK_NONBLOCK | SOCK_CLOEXEC);
  };
  int client = accept();
  if (client < 0 && (errno == EMFILE || errno == ENFILE) && reserve_.spend())
    client = accept();
  if (client < 0)
    return on_accept_error(errno);
  // Closes it where it fails.
  if (MHD_add_connection(daemon_.get(), client, peer.data(), peer.size()) == MHD_YES)
    run_soon_.schedule();
  return true;
}

bool HttpServer::on_accept_error(int error) {
  if (error == ECONNABORTED || error == EINTR)
    return true;
  if (error != EAGAIN) {  // no descriptors, no memory
    set_accepting(false);
    accept_timer_.start(loop_.now() + kAcceptPause);
  }
  return false;
}

void HttpServer::on_resume_accepting() noexcept {
  set_accepting(true);
}

void HttpServer::set_accepting(bool accepting) {
  if (accepting == std::exchange(accepting_, accepting))
    return;
  // Only fails for a descriptor that is not registered.
  (void)accept_watcher_.set_events(accepting ? std::uint32_t{EPOLLIN} : 0U);
}

// ---------------------------------------------------------------------------- connections

void HttpServer::began(std::unique_ptr<HttpConnection> connection) {
  connections_.push_back(std::move(connection));
}

void HttpServer::ended(const HttpConnection& connection) {
  std::erase_if(connections_, [&](const auto& one) { return one.get() == &connection; });
  if (!accept_watcher_.is_watching())
    return;  // nobody else is to come
  if (!accept_timer_.is_running())
    set_accepting(true);
}

void HttpServer::dispatch(const HttpExchangePtr& exchange) const {
  const HttpRequest& request = exchange->request();
  bool is_known = false;
  for (const HttpRoute& route : routes_) {
    if (route.path != request.path)
      continue;
    if (route.method == request.method) {
      route.handler(exchange);
      return;
    }
    is_known = true;
  }
  if (is_known)
    exchange->answer(HttpAnswer::error(405, request.path + ": not with " + request.method));
  else
    exchange->answer(HttpAnswer::error(404, request.path + ": not found"));
}

}  // namespace nsrelay
