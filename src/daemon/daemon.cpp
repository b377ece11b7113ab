#include "nsrelay/daemon/daemon.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>

#include "nsrelay/base/scope_exit.hpp"
#include "nsrelay/config/config_loader.hpp"
#include "nsrelay/daemon/process_memory.hpp"
#include "nsrelay/netns/netns_scope.hpp"

namespace nsrelay {
namespace {

/// How often pending listeners are tried again besides the events that could change them: seldom
/// where there are thousands.
constexpr auto kRetry = std::chrono::seconds(1);
constexpr auto kRetryOfMany = std::chrono::seconds(10);
constexpr std::size_t kMany = 256;

/// How long UDP sessions go on, for the replies to what they forwarded, where a successor has their
/// clients' next datagrams waiting in the socket.
constexpr auto kUdpHandOver = std::chrono::seconds(1);

/// How soon a reader of the log that was behind is tried again.
constexpr auto kLogRetry = std::chrono::milliseconds(100);

/// The soft limit of descriptors becomes the hard one: only select(2), which nobody here uses, has
/// a reason for the low default. Returns the limit.
std::size_t raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

/// Pipes get at most an eighth of the descriptors, two each.
PipePool::Limits pipe_limits(std::size_t descriptors) {
  PipePool::Limits limits;
  limits.most = std::min(limits.most, descriptors / 16);
  return limits;
}

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::create(std::shared_ptr<const Config> config,
                                               const LogOverrides& overrides) {
  keep_no_large_blocks();
  home_netns();  // found while there are descriptors: later its absence would abort
  auto loop = EventLoop::create();
  if (!loop)
    return std::move(loop).error();
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(config), overrides, *std::move(loop)));
  auto signals =
      SignalWatcher::create(*daemon->loop_, {SIGTERM, SIGINT, SIGHUP},
                            SignalWatcher::Callback::to<&Daemon::on_signal>(daemon.get()));
  if (!signals)
    return std::move(signals).error();
  daemon->signals_ = *std::move(signals);
  if (auto served = daemon->follow(*daemon->config_); !served)
    return std::move(served).error();
  return daemon;
}

Daemon::Daemon(std::shared_ptr<const Config> config, const LogOverrides& overrides,
               std::unique_ptr<EventLoop> loop)
    : overrides_(overrides),
      config_(std::move(config)),
      loop_(std::move(loop)),
      log_(overrides.level.value_or(config_->log.level)),
      context_(*loop_, log_, pipe_limits(raise_descriptor_limit())),
      drainer_(context_, config_->drain_timeout),
      store_(ListenerStore::from_environment()),
      reconciler_(context_, registry_, drainer_, *store_, config_),
      control_(context_, registry_, reconciler_, [this] { return reload(); }),
      metrics_(context_, registry_, reconciler_),
      watcher_(*loop_, registry_, NetnsWatcher::Callback::to<&Daemon::on_netns_change>(this)),
      tick_timer_(loop_->timers(), Delegate<void()>::to<&Daemon::on_tick>(this)),
      drain_timer_(loop_->timers(), Delegate<void()>::to<&Daemon::on_drain_timeout>(this)),
      log_timer_(loop_->timers(), Delegate<void()>::to<&Daemon::on_log_timer>(this)),
      hand_over_timer_(loop_->timers(), Delegate<void()>::to<&Daemon::on_handed_over>(this)),
      service_(*loop_, [this] { return status_line(); }) {
  std::signal(SIGPIPE, SIG_IGN);  // splice(2) has no MSG_NOSIGNAL
  follow_log(*config_);
  context_.set_logs_connections(config_->log.connections);
  loop_->busy_poll().set_enabled(config_->busy_poll);
  control_.set_config(config_);
  loop_->set_before_wait(Delegate<void()>::to<&Daemon::on_before_wait>(this));
  context_.connections().set_on_empty(Delegate<void()>::to<&Daemon::on_no_connections>(this));
}

Daemon::~Daemon() = default;

void Daemon::run() {
  reconciler_.reconcile();
  reconciler_.finish();
  for (const std::string& name : store_->close_rest())
    log_.write({.level = LogLevel::Warn,
                .event = log_event::kDescriptorClosed,
                .reason = "no rule has this listener",
                .more = {{"name", name}}});
  watcher_.start();
  log_.write({.event = log_event::kStarted,
              .more = {{"version", NSRELAY_VERSION},
                       {"config", config_->file},
                       {"rules", std::to_string(config_->rules.size())},
                       {"listening", std::to_string(reconciler_.listening())},
                       {"pending", std::to_string(reconciler_.pending())}}});
  tick_timer_.start(loop_->now() + kRetry);
  service_.ready();
  give_back_startup_memory();
  loop_->run();
  log_.write({.event = log_event::kStopped});
  log_.flush();
}

void Daemon::on_signal(int signal) noexcept {
  if (signal == SIGHUP)
    reload();
  else if (stopping_)
    end_connections();
  else
    begin_stop();
}

/// All or nothing: an invalid file changes nothing.
ReloadOutcome Daemon::reload() {
  if (stopping_)
    return {.faults = {"nsrelay is stopping"}};
  service_.reloading();
  const ScopeExit reloaded([this] { service_.ready(); });
  (void)file_reserve_.spend();
  auto outcome = load_config(config_->file);
  (void)file_reserve_.hold();
  if (const auto* faults = std::get_if<std::vector<ConfigFault>>(&outcome)) {
    std::vector<std::string> texts;
    for (const ConfigFault& fault : *faults)
      texts.push_back(format_fault(config_->file, fault));
    return refuse_reload(std::move(texts));
  }
  auto config = std::make_shared<const Config>(std::get<Config>(std::move(outcome)));
  if (auto followed = follow(*config); !followed)
    return refuse_reload({followed.error().message()});
  return apply(std::move(config));
}

void Daemon::follow_log(const Config& config) {
  log_.set_level(overrides_.level.value_or(config.log.level));
  const auto set = log_.set_target(overrides_.target.value_or(config.log.target));
  if (!set)
    log_.write({.level = LogLevel::Warn,
                .event = log_event::kJournalUnavailable,
                .reason = set.error().message(),
                .more = {{"next", "records go to stderr until a reload finds the journal"}}});
}

/// What a reader of the log has not taken is offered again soon, however quiet it is otherwise.
void Daemon::on_before_wait() noexcept {
  log_.flush();
  if (log_.is_behind() && !log_timer_.is_running())
    log_timer_.start(loop_->now() + kLogRetry);
}

/// Serves control and metrics where `config` says; on an error both stay where they were.
Result<void> Daemon::follow(const Config& config) {
  if (auto followed = metrics_.follow(config); !followed)
    return followed;
  auto followed = control_.follow(config);
  if (!followed)
    (void)metrics_.follow(*config_);
  return followed;
}

ReloadOutcome Daemon::refuse_reload(std::vector<std::string> faults) {
  metrics_.count_reload(MetricsService::Reload::Failed);
  for (const std::string& fault : faults)
    log_.write({.level = LogLevel::Error,
                .event = log_event::kReload,
                .reason = fault,
                .more = {{"result", "failed"}, {"next", "the old configuration stays in force"}}});
  return {.faults = std::move(faults)};
}

ReloadOutcome Daemon::apply(std::shared_ptr<const Config> config) {
  config_ = std::move(config);
  follow_log(*config_);
  context_.set_logs_connections(config_->log.connections);
  loop_->busy_poll().set_enabled(config_->busy_poll);
  drainer_.set_patience(config_->drain_timeout);
  context_.forget_no_sctp();
  const Reconciler::Changes changes = reconciler_.replace_config(config_);
  control_.set_config(config_);
  watcher_.follow_again();
  metrics_.count_reload(MetricsService::Reload::Ok);
  log_.write({.event = log_event::kReload,
              .more = {{"result", "ok"},
                       {"rules", std::to_string(config_->rules.size())},
                       {"opened", std::to_string(changes.opened)},
                       {"closed", std::to_string(changes.closed)},
                       {"changed", std::to_string(changes.changed)}}});
  return {{}, changes.opened, changes.closed, changes.changed};
}

void Daemon::on_tick() noexcept {
  const std::size_t pending = reconciler_.pending();
  reconciler_.retry();
  tick_timer_.start(loop_->now() + (pending > kMany ? kRetryOfMany : kRetry));
}

void Daemon::on_netns_change(const NetnsChanges& changes) noexcept {
  if (!stopping_)
    reconciler_.reconcile(changes);
  drainer_.end_orphans(changes.gone);
}

void Daemon::begin_stop() {
  stopping_ = true;  // what goes on in a namespace that is deleted meanwhile ends all the same
  control_.set_stopping();
  tick_timer_.stop();
  reconciler_.close_all();
  service_.stopping();
  log_.write({.event = log_event::kStopping,
              .more = {{"connections", std::to_string(context_.connections().size())},
                       {"drain_timeout", format_duration(config_->drain_timeout)}}});
  drain_timer_.start(loop_->now() + config_->drain_timeout);
  if (store_->keeps())
    hand_over_timer_.start(loop_->now() + kUdpHandOver);
  on_no_connections();
}

void Daemon::on_drain_timeout() noexcept {
  end_connections();
}

void Daemon::end_connections() {
  context_.connections().for_each([](Forwarded& one) { one.end(Reason::Drained); });
}

void Daemon::on_handed_over() noexcept {
  context_.connections().for_each([](Forwarded& one) {
    if (one.runtime().rule().protocol == Protocol::Udp)
      one.end(Reason::Drained);
  });
}

std::string Daemon::status_line() const {
  const std::string connections = std::to_string(context_.connections().size()) + " connections";
  if (stopping_)
    return "Stopping: waiting for " + connections;
  return std::to_string(reconciler_.listening()) + " listeners, " +
         std::to_string(reconciler_.pending()) + " pending, " + connections;
}

void Daemon::on_no_connections() noexcept {
  if (stopping_ && context_.connections().size() == 0)
    loop_->stop();
}

}  // namespace nsrelay
