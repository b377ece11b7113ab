#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nsrelay/config/config.hpp"
#include "nsrelay/control/control_server.hpp"
#include "nsrelay/daemon/drain_jobs.hpp"
#include "nsrelay/daemon/reconciler.hpp"
#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/netns/netns_registry.hpp"
#include "nsrelay/relay/relay_context.hpp"

namespace nsrelay {

/// The daemon's side of the control socket: opens it where the configuration says, and answers.
class ControlService final : public ControlHandler {
 public:
  /// Borrows all. `reload` reads the configuration again, as SIGHUP does.
  ControlService(RelayContext& context, const NetnsRegistry& registry, Reconciler& reconciler,
                 std::function<ReloadOutcome()> reload);
  ~ControlService() override;

  /// Serves at the socket that `config` asks for, and no longer at another one. Where the file does
  /// not name one and the default cannot be made, that is logged and nothing is served. Fails where
  /// it names one that cannot be made; nothing has changed then.
  Result<void> follow(const Config& config);

  /// `config` is in force from now on; the drains that somebody waits for are off.
  void set_config(std::shared_ptr<const Config> config);

  void set_stopping() { is_stopping_ = true; }

  StatusReport status() override;
  std::unique_ptr<ConnectionSource> connections(const ConnectionFilter& filter) override;
  ReloadOutcome reload() override { return reload_(); }
  void drain(const DrainRequest& request, std::function<void(const DrainOutcome&)> done) override;

 private:
  using Time = std::chrono::system_clock::time_point;

  [[nodiscard]] DrainScope scope_of(const DrainRequest& request) const;
  [[nodiscard]] bool has_absent_listener(const DrainRequest& request) const;
  void retire();
  void on_retired() noexcept;

  RelayContext& context_;
  const NetnsRegistry& registry_;
  Reconciler& reconciler_;
  std::function<ReloadOutcome()> reload_;
  DrainJobs drains_;
  std::shared_ptr<const Config> config_;
  const Time started_ = std::chrono::system_clock::now();
  Time loaded_ = started_;
  std::unique_ptr<ControlServer> server_;
  /// Of sockets that are no longer in the configuration, until their clients have their answers.
  std::vector<std::unique_ptr<ControlServer>> retired_;
  Timer retired_timer_;
  bool is_stopping_ = false;
};

}  // namespace nsrelay
