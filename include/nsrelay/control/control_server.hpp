#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "nsrelay/control/control_socket.hpp"
#include "nsrelay/control/http_server.hpp"
#include "nsrelay/control/status_report.hpp"

namespace nsrelay {

/// What the control socket can ask of the daemon.
class ControlHandler {
 public:
  ControlHandler() = default;
  ControlHandler(const ControlHandler&) = delete;
  ControlHandler& operator=(const ControlHandler&) = delete;
  virtual ~ControlHandler() = default;

  virtual StatusReport status() = 0;
  virtual std::unique_ptr<ConnectionSource> connections(const ConnectionFilter& filter) = 0;
  /// May replace the server that asks, but not destroy it before the end of the iteration.
  virtual ReloadOutcome reload() = 0;
  /// `done` is called once: at once, when the drain is over, or never where the daemon ends before.
  virtual void drain(const DrainRequest& request,
                     std::function<void(const DrainOutcome&)> done) = 0;
};

/// The control socket: HTTP with JSON answers, for `nsrelay status` and its like and for curl.
/// docs/control.md describes the paths.
class ControlServer {
 public:
  /// Serves at `path` until it is destroyed. Borrows `loop` and `handler`. Errors are those of
  /// ControlSocket::create() and HttpServer::create().
  static Result<std::unique_ptr<ControlServer>> create(EventLoop& loop, const std::string& path,
                                                       ControlHandler& handler);

  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  /// Accepts nobody any more and removes the file; clients that are connected get their answers.
  void close();

  /// Where it serves, or served.
  [[nodiscard]] const std::string& path() const { return path_; }

  /// Clients that are connected.
  [[nodiscard]] std::size_t clients() const { return http_->connections(); }

 private:
  ControlServer(ControlSocket socket, ControlHandler& handler)
      : handler_(handler), path_(socket.path()), socket_(std::move(socket)) {}

  void on_status(const HttpExchangePtr& exchange) noexcept;
  void on_connections(const HttpExchangePtr& exchange) noexcept;
  void on_reload(const HttpExchangePtr& exchange) noexcept;
  void on_drain(const HttpExchangePtr& exchange) noexcept;

  ControlHandler& handler_;
  const std::string path_;
  std::optional<ControlSocket> socket_;
  std::unique_ptr<HttpServer> http_;
};

}  // namespace nsrelay
