#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "nsrelay/base/result.hpp"
#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/control/http_exchange.hpp"
#include "nsrelay/event/event_loop.hpp"
#include "nsrelay/event/io_watcher.hpp"
#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/net/descriptor_reserve.hpp"

struct MHD_Daemon;

namespace nsrelay {

/// A small HTTP server on a listening socket (Unix or TCP), inside the event loop.
///
/// Theory of operation. It accepts by itself, so that running out of descriptors makes it pause
/// rather than spin, and hands connections to libmicrohttpd, which has an epoll descriptor of its
/// own: that one is watched, and MHD_run() does what is due. A response is sent in pieces of at
/// most 32 KiB per iteration of the loop. Each connection has one request.
///
/// Bounds: `most_connections` at a time (further ones wait in the backlog), 32 KiB for a request's
/// line and headers, 64 KiB for its body (which is ignored), and the times of HttpConnection, which
/// no trickle of bytes prolongs.
class HttpServer {
 public:
  static constexpr std::size_t kMostConnections = 64;

  /// Takes a listening, non-blocking socket and starts. Borrows `loop` and what the routes point
  /// at. Fails where libmicrohttpd cannot start (no descriptors, no memory).
  static Result<std::unique_ptr<HttpServer>> create(
      EventLoop& loop, UniqueFd listening_socket, std::vector<HttpRoute> routes,
      std::size_t most_connections = kMostConnections);

  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Cuts every connection; exchanges that wait for their answer are no longer open.
  ~HttpServer();

  /// Accepts nobody any more; those that are connected get their answers.
  void close_listener();

  [[nodiscard]] std::size_t connections() const { return connections_.size(); }

 private:
  friend class HttpConnection;

  struct StopDaemon {
    void operator()(MHD_Daemon* daemon) const;
  };

  HttpServer(EventLoop& loop, UniqueFd listening_socket, std::vector<HttpRoute> routes,
             std::size_t most_connections);

  Result<void> start();
  void on_acceptable(std::uint32_t events) noexcept;
  void on_resume_accepting() noexcept;
  void on_work(std::uint32_t events) noexcept;
  void run() noexcept;
  bool accept_one();
  bool on_accept_error(int error);
  void set_accepting(bool accepting);
  void dispatch(const HttpExchangePtr& exchange) const;
  void began(std::unique_ptr<HttpConnection> connection);
  void ended(const HttpConnection& connection);

  EventLoop& loop_;
  UniqueFd socket_;
  const std::vector<HttpRoute> routes_;
  const std::size_t most_connections_;
  DescriptorReserve reserve_;  ///< so that one client can ask even when there are no descriptors
  std::vector<std::unique_ptr<HttpConnection>> connections_;
  std::unique_ptr<MHD_Daemon, StopDaemon> daemon_;
  IoWatcher work_watcher_;
  IoWatcher accept_watcher_;
  DeferredCall run_soon_;
  Timer accept_timer_;
  bool accepting_ = true;
};

}  // namespace nsrelay
