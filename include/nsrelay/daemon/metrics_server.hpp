#pragma once

#include <functional>
#include <memory>

#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/control/http_server.hpp"
#include "nsrelay/telemetry/metrics_page.hpp"

namespace nsrelay {

/// Serves /metrics to Prometheus over HTTP, in the daemon's own namespace.
class MetricsServer {
 public:
  using Source = std::function<MetricsSnapshot()>;

  /// Listens at `listen` (one address and port) until it is destroyed; every scrape is what
  /// `source` tells then. Borrows `loop`. The error names the address and what the kernel said,
  /// e.g. `metrics.listen 127.0.0.1:9180: bind: Address already in use`.
  static Result<std::unique_ptr<MetricsServer>> create(EventLoop& loop, const ListenSpec& listen,
                                                       Source source);

  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  [[nodiscard]] const ListenSpec& listen() const { return listen_; }

 private:
  MetricsServer(ListenSpec listen, Source source)
      : listen_(std::move(listen)), source_(std::move(source)) {}

  void on_scrape(const HttpExchangePtr& exchange) noexcept;

  ListenSpec listen_;
  Source source_;
  std::unique_ptr<HttpServer> http_;
};

}  // namespace nsrelay
