#include "nsrelay/daemon/daemon.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>

#include "nsrelay/netns/netns_scope.hpp"

namespace nsrelay {
namespace {

/// How often names are looked up again and pending listeners are tried again.
constexpr auto kTick = std::chrono::seconds(1);

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

Result<std::unique_ptr<Daemon>> Daemon::create(std::shared_ptr<const Config> config) {
  home_netns();  // found while there are descriptors: later its absence would abort
  auto loop = EventLoop::create();
  if (!loop)
    return std::move(loop).error();
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(config), *std::move(loop)));
  auto signals =
      SignalWatcher::create(*daemon->loop_, {SIGTERM, SIGINT, SIGHUP},
                            SignalWatcher::Callback::to<&Daemon::on_signal>(daemon.get()));
  if (!signals)
    return std::move(signals).error();
  daemon->signals_ = *std::move(signals);
  return daemon;
}

Daemon::Daemon(std::shared_ptr<const Config> config, std::unique_ptr<EventLoop> loop)
    : config_(std::move(config)),
      loop_(std::move(loop)),
      log_(config_->log.level),
      context_(*loop_, log_, pipe_limits(raise_descriptor_limit())),
      reconciler_(context_, registry_, config_),
      tick_timer_(loop_->timers(), Delegate<void()>::to<&Daemon::on_tick>(this)),
      drain_timer_(loop_->timers(), Delegate<void()>::to<&Daemon::on_drain_timeout>(this)) {
  std::signal(SIGPIPE, SIG_IGN);  // splice(2) has no MSG_NOSIGNAL
  loop_->set_before_wait(Delegate<void()>::to<&Daemon::on_before_wait>(this));
  context_.connections().set_on_empty(Delegate<void()>::to<&Daemon::on_no_connections>(this));
}

Daemon::~Daemon() = default;

void Daemon::run() {
  reconciler_.reconcile();
  log_.write({.event = log_event::kStarted,
              .more = {{"version", NSRELAY_VERSION},
                       {"config", config_->file},
                       {"rules", std::to_string(config_->rules.size())},
                       {"listening", std::to_string(reconciler_.listening())},
                       {"pending", std::to_string(reconciler_.pending())}}});
  tick_timer_.start(loop_->now() + kTick);
  loop_->run();
  log_.write({.event = log_event::kStopped});
  log_.flush();
}

void Daemon::on_signal(int signal) noexcept {
  if (signal == SIGHUP)
    log_.write({.level = LogLevel::Warn,
                .event = log_event::kReload,
                .reason = "not supported by this build; the configuration stays in force"});
  else if (stopping_)
    end_connections();
  else
    begin_stop();
}

void Daemon::on_tick() noexcept {
  if (stopping_)
    return;
  tick_timer_.start(loop_->now() + kTick);
  const bool changed = registry_.refresh();
  if (changed || reconciler_.pending() > 0)
    reconciler_.reconcile();
  if (changed)
    reconciler_.end_orphans();
}

void Daemon::begin_stop() {
  stopping_ = true;
  reconciler_.close_all();
  log_.write({.event = log_event::kStopping,
              .more = {{"connections", std::to_string(context_.connections().size())},
                       {"drain_timeout", format_duration(config_->drain_timeout)}}});
  drain_timer_.start(loop_->now() + config_->drain_timeout);
  on_no_connections();
}

void Daemon::on_drain_timeout() noexcept {
  end_connections();
}

void Daemon::end_connections() {
  context_.connections().for_each([](TcpConnection& one) { one.end(Reason::Drained); });
}

void Daemon::on_no_connections() noexcept {
  if (stopping_ && context_.connections().size() == 0)
    loop_->stop();
}

}  // namespace nsrelay
