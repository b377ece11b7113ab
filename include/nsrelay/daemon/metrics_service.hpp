#pragma once

#include <cstdint>
#include <memory>

#include "nsrelay/config/config.hpp"
#include "nsrelay/daemon/metrics_server.hpp"
#include "nsrelay/daemon/reconciler.hpp"
#include "nsrelay/netns/netns_registry.hpp"
#include "nsrelay/relay/relay_context.hpp"
#include "nsrelay/telemetry/metrics_page.hpp"

namespace nsrelay {

/// The metrics of the daemon: where they are served, and what they tell.
class MetricsService {
 public:
  /// Borrows all of it.
  MetricsService(RelayContext& context, const NetnsRegistry& registry, const Reconciler& reconciler)
      : context_(context), registry_(registry), reconciler_(reconciler) {}
  MetricsService(const MetricsService&) = delete;
  MetricsService& operator=(const MetricsService&) = delete;

  /// Serves at `metrics.listen` of `config`, or nowhere. On an error, whose message names the
  /// address, it serves where it did before.
  Result<void> follow(const Config& config);

  enum class Reload : std::uint8_t { Ok, Failed };
  void count_reload(Reload result);

  [[nodiscard]] MetricsSnapshot snapshot() const;

 private:
  RelayContext& context_;
  const NetnsRegistry& registry_;
  const Reconciler& reconciler_;
  DaemonCounters counters_;
  std::unique_ptr<MetricsServer> server_;
};

}  // namespace nsrelay
