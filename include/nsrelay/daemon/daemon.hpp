#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nsrelay/config/config.hpp"
#include "nsrelay/daemon/control_service.hpp"
#include "nsrelay/daemon/drainer.hpp"
#include "nsrelay/daemon/listener_store.hpp"
#include "nsrelay/daemon/metrics_service.hpp"
#include "nsrelay/daemon/reconciler.hpp"
#include "nsrelay/daemon/service_manager.hpp"
#include "nsrelay/event/event_loop.hpp"
#include "nsrelay/event/signal_watcher.hpp"
#include "nsrelay/net/descriptor_reserve.hpp"
#include "nsrelay/netns/netns_registry.hpp"
#include "nsrelay/netns/netns_watcher.hpp"
#include "nsrelay/relay/relay_context.hpp"
#include "nsrelay/telemetry/log.hpp"

namespace nsrelay {

/// What the command line says about the log; it wins over the file, also when that is read again.
struct LogOverrides {
  std::optional<LogLevel> level;
  std::optional<LogTarget> target;
};

/// The running program: the reactor and everything on it, from a valid configuration to the end of
/// the drain.
class Daemon {
 public:
  /// Prepares the process (descriptor limit, signals). Fails where the reactor cannot be made, or
  /// the control socket that the configuration names.
  /// `overrides`: what the command line decides, whatever a file says.
  static Result<std::unique_ptr<Daemon>> create(std::shared_ptr<const Config> config,
                                                const LogOverrides& overrides = {});

  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon();

  /// Forwards until SIGTERM or SIGINT and the end of the drain.
  void run();

 private:
  Daemon(std::shared_ptr<const Config> config, const LogOverrides& overrides,
         std::unique_ptr<EventLoop> loop);

  void on_signal(int signal) noexcept;
  void on_tick() noexcept;
  void on_netns_change(const NetnsChanges& changes) noexcept;
  void on_before_wait() noexcept;
  void on_log_timer() noexcept {}  // what it is for is to end a wait
  void on_drain_timeout() noexcept;
  void on_handed_over() noexcept;
  void on_no_connections() noexcept;
  ReloadOutcome reload();
  void follow_log(const Config& config);
  Result<void> follow(const Config& config);
  ReloadOutcome refuse_reload(std::vector<std::string> faults);
  ReloadOutcome apply(std::shared_ptr<const Config> config);
  void begin_stop();
  void end_connections();
  [[nodiscard]] std::string status_line() const;

  LogOverrides overrides_;
  std::shared_ptr<const Config> config_;
  DescriptorReserve file_reserve_;  ///< to read the file with, where clients have all the others
  std::unique_ptr<EventLoop> loop_;
  Log log_;
  NetnsRegistry registry_;
  RelayContext context_;
  Drainer drainer_;
  std::unique_ptr<ListenerStore> store_;
  Reconciler reconciler_;
  ControlService control_;
  MetricsService metrics_;
  NetnsWatcher watcher_;
  Timer tick_timer_;
  Timer drain_timer_;
  Timer log_timer_;
  Timer hand_over_timer_;
  ServiceManager service_;
  std::unique_ptr<SignalWatcher> signals_;
  bool stopping_ = false;
};

}  // namespace nsrelay
