#include "nsrelay/daemon/metrics_server.hpp"

#include <utility>

#include "nsrelay/netns/netns_scope.hpp"
#include "nsrelay/relay/listening_socket.hpp"
#include "nsrelay/telemetry/prometheus_text.hpp"

namespace nsrelay {
namespace {

// Each scrape holds a copy of all counters until it is read.
constexpr std::size_t kMostScrapes = 8;

class PageBody final : public HttpBody {
 public:
  explicit PageBody(MetricsSnapshot snapshot) : page_(std::move(snapshot)) {}

  bool append_next(std::string& out) noexcept override { return page_.append_next(out); }

 private:
  MetricsPage page_;
};

Result<UniqueFd> open_socket(const ListenSpec& listen) {
  ForwardRule options;
  options.reuse_port = false;  // a second daemon would get every other scrape
  return open_listening_socket(options, listen, listen.ports.first, home_netns());
}

}  // namespace

Result<std::unique_ptr<MetricsServer>> MetricsServer::create(EventLoop& loop,
                                                             const ListenSpec& listen,
                                                             Source source) {
  const std::string what = "metrics.listen " + describe_listener(listen, listen.ports.first);
  auto socket = open_socket(listen);
  if (!socket)
    return std::move(socket).error().with_context(what);
  std::unique_ptr<MetricsServer> server(new MetricsServer(listen, std::move(source)));
  auto http = HttpServer::create(
      loop, *std::move(socket),
      {{"GET", "/metrics",
        Delegate<void(const HttpExchangePtr&)>::to<&MetricsServer::on_scrape>(server.get())}},
      kMostScrapes);
  if (!http)
    return std::move(http).error().with_context(what);
  server->http_ = *std::move(http);
  return server;
}

void MetricsServer::on_scrape(const HttpExchangePtr& exchange) noexcept {
  HttpAnswer answer;
  answer.content_type = kPrometheusContentType;
  answer.rest = std::make_unique<PageBody>(source_());
  exchange->answer(std::move(answer));
}

}  // namespace nsrelay
