#include "nsrelay/daemon/control_service.hpp"

#include <unistd.h>

#include <ctime>
#include <utility>

#include "nsrelay/daemon/status_builder.hpp"

namespace nsrelay {
namespace {

constexpr auto kRetiredInterval = std::chrono::seconds(1);

std::string utc_text(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm fields{};
  ::gmtime_r(&seconds, &fields);
  char text[32];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &fields);
  return {text, size};
}

}  // namespace

ControlService::ControlService(RelayContext& context, const NetnsRegistry& registry,
                               Reconciler& reconciler, std::function<ReloadOutcome()> reload)
    : context_(context),
      registry_(registry),
      reconciler_(reconciler),
      reload_(std::move(reload)),
      drains_(context),
      retired_timer_(context.loop().timers(),
                     Delegate<void()>::to<&ControlService::on_retired>(this)) {}

ControlService::~ControlService() = default;

Result<void> ControlService::follow(const Config& config) {
  const std::string path = config.control_socket.value_or(kDefaultControlSocket);
  if (server_ && server_->path() == path)
    return {};
  if (path.empty()) {
    retire();
    return {};
  }
  auto server = ControlServer::create(context_.loop(), path, *this);
  if (!server && config.control_socket)
    return std::move(server).error();
  retire();
  if (server)
    server_ = *std::move(server);
  else
    context_.log().write(
        {.level = LogLevel::Warn,
         .event = log_event::kControlUnavailable,
         .reason = server.error().message(),
         .more = {{"next", "forwarding goes on; nsrelay status and its like do not work"}}});
  return {};
}

void ControlService::retire() {
  if (!server_)
    return;
  server_->close();
  retired_.push_back(std::move(server_));
  retired_timer_.start(context_.loop().now() + kRetiredInterval);
}

void ControlService::on_retired() noexcept {
  std::erase_if(retired_, [](const auto& one) { return one->clients() == 0; });
  if (!retired_.empty())
    retired_timer_.start(context_.loop().now() + kRetiredInterval);
}

void ControlService::set_config(std::shared_ptr<const Config> config) {
  config_ = std::move(config);
  loaded_ = std::chrono::system_clock::now();
  drains_.interrupt();
}

StatusReport ControlService::status() {
  StatusReport report;
  report.version = NSRELAY_VERSION;
  report.pid = ::getpid();
  report.started = utc_text(started_);
  report.stopping = is_stopping_;
  report.config_file = config_->file;
  report.config_loaded = utc_text(loaded_);
  report.config_rules = config_->rules.size();
  add_forwarding(report, *config_, reconciler_, registry_, context_);
  return report;
}

std::unique_ptr<ConnectionSource> ControlService::connections(const ConnectionFilter& filter) {
  return snapshot_connections(context_, filter);
}

void ControlService::drain(const DrainRequest& request,
                           std::function<void(const DrainOutcome&)> done) {
  if (is_stopping_) {
    done({.result = DrainOutcome::Result::Stopping});
    return;
  }
  DrainScope scope = scope_of(request);
  const auto closed = reconciler_.drain(scope);
  if (!closed) {
    const bool is_absent = has_absent_listener(request);
    done({.result = is_absent ? DrainOutcome::Result::Done : DrainOutcome::Result::Unknown});
    return;
  }
  const Duration timeout = request.timeout.value_or(config_->drain_timeout);
  context_.log().write(
      {.event = log_event::kDrain,
       .rule = request.rule.value_or(""),
       .netns = request.netns.value_or(""),
       .more = {{"listeners", std::to_string(*closed)}, {"timeout", format_duration(timeout)}}});
  drains_.start(std::move(scope), *closed, timeout, std::move(done));
}

DrainScope ControlService::scope_of(const DrainRequest& request) const {
  DrainScope scope{request.rule, {}};
  if (request.netns)
    for (const NetnsRef& entry : registry_.named(*request.netns))
      if (entry->netns)
        scope.cookies.insert(entry->netns->cookie());
  return scope;
}

/// There is nothing to drain in a namespace that is absent; a new one of that name will be served.
bool ControlService::has_absent_listener(const DrainRequest& request) const {
  bool found = false;
  reconciler_.for_each_listener([&](const Reconciler::ListenerView& view) {
    const NetnsEntry& netns = *view.wanted.netns;
    found |= !netns.netns && (netns.name == request.netns || netns.source == request.netns);
  });
  return found;
}

}  // namespace nsrelay
