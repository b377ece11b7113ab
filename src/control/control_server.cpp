#include "nsrelay/control/control_server.hpp"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>

#include "nsrelay/base/timeout.hpp"
#include "nsrelay/control/status_json.hpp"

namespace nsrelay {
namespace {

constexpr int kBadRequest = 400;
constexpr int kNotFound = 404;
constexpr int kConflict = 409;
constexpr int kUnprocessable = 422;
constexpr int kUnavailable = 503;

std::optional<std::string> argument(const HttpRequest& request, const std::string& name) {
  const auto found = request.arguments.find(name);
  return found == request.arguments.end() ? std::nullopt : std::optional(found->second);
}

/// Answers with an error where there is an argument that is none of `known`.
bool has_only(const HttpExchangePtr& exchange, std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : exchange->request().arguments) {
    if (std::find(known.begin(), known.end(), name) != known.end())
      continue;
    exchange->answer(HttpAnswer::error(kBadRequest, "unknown argument '" + name + "'"));
    return false;
  }
  return true;
}

HttpAnswer with_body(std::unique_ptr<HttpBody> body) {
  HttpAnswer answer;
  answer.rest = std::move(body);
  return answer;
}

Result<DrainRequest> parse_drain(const HttpRequest& request) {
  DrainRequest parsed{argument(request, "netns"), argument(request, "rule"), std::nullopt};
  if (parsed.netns.has_value() == parsed.rule.has_value())
    return Error("netns or rule is needed, one of them");
  if (const auto text = argument(request, "timeout")) {
    auto timeout = parse_timeout(*text);
    if (!timeout)
      return std::move(timeout).error().with_context("timeout '" + *text + "'");
    parsed.timeout = *timeout;
  }
  return parsed;
}

HttpAnswer answer_of(const DrainRequest& request, const DrainOutcome& outcome) {
  const std::string what = request.rule ? "rule \"" + *request.rule + "\""
                                        : "namespace \"" + request.netns.value_or("") + "\"";
  switch (outcome.result) {
    case DrainOutcome::Result::Unknown:
      return HttpAnswer::error(kNotFound,
                               request.rule ? "no " + what : "no rule has a listener in " + what);
    case DrainOutcome::Result::Interrupted:
      return HttpAnswer::error(
          kConflict, what + ": a reload has opened its listeners before the drain was over");
    case DrainOutcome::Result::Stopping:
      return HttpAnswer::error(kUnavailable, "nsrelay is stopping and drains everything");
    case DrainOutcome::Result::Done:
      break;
  }
  return {200, to_json(outcome)};
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::create(EventLoop& loop,
                                                             const std::string& path,
                                                             ControlHandler& handler) {
  auto socket = ControlSocket::create(path);
  if (!socket)
    return std::move(socket).error();
  std::unique_ptr<ControlServer> server(new ControlServer(*std::move(socket), handler));
  using Handler = Delegate<void(const HttpExchangePtr&)>;
  auto http = HttpServer::create(
      loop, server->socket_->take_socket(),
      {{"GET", "/status", Handler::to<&ControlServer::on_status>(server.get())},
       {"GET", "/connections", Handler::to<&ControlServer::on_connections>(server.get())},
       {"POST", "/reload", Handler::to<&ControlServer::on_reload>(server.get())},
       {"POST", "/drain", Handler::to<&ControlServer::on_drain>(server.get())}});
  if (!http)
    return std::move(http).error().with_context("control socket " + path);
  server->http_ = *std::move(http);
  return server;
}

void ControlServer::close() {
  http_->close_listener();
  socket_.reset();
}

void ControlServer::on_status(const HttpExchangePtr& exchange) noexcept {
  if (has_only(exchange, {}))
    exchange->answer(with_body(to_json(handler_.status())));
}

void ControlServer::on_connections(const HttpExchangePtr& exchange) noexcept {
  if (!has_only(exchange, {"rule", "netns"}))
    return;
  const HttpRequest& request = exchange->request();
  exchange->answer(with_body(
      to_json(handler_.connections({argument(request, "rule"), argument(request, "netns")}))));
}

void ControlServer::on_reload(const HttpExchangePtr& exchange) noexcept {
  if (!has_only(exchange, {}))
    return;
  const ReloadOutcome outcome = handler_.reload();
  exchange->answer({outcome.faults.empty() ? 200 : kUnprocessable, to_json(outcome)});
}

void ControlServer::on_drain(const HttpExchangePtr& exchange) noexcept {
  if (!has_only(exchange, {"netns", "rule", "timeout"}))
    return;
  const auto request = parse_drain(exchange->request());
  if (!request) {
    exchange->answer(HttpAnswer::error(kBadRequest, request.error().message()));
    return;
  }
  handler_.drain(*request, [exchange, request = *request](const DrainOutcome& outcome) {
    exchange->answer(answer_of(request, outcome));
  });
}

}  // namespace nsrelay
