#pragma once

#include <memory>

#include "nsrelay/control/status_report.hpp"
#include "nsrelay/daemon/reconciler.hpp"
#include "nsrelay/netns/netns_registry.hpp"
#include "nsrelay/relay/relay_context.hpp"

namespace nsrelay {

/// Adds the totals, the rules of `config`, and every listener that is wanted, or is gone while
/// connections that it accepted go on, to `report`.
void add_forwarding(StatusReport& report, const Config& config, const Reconciler& reconciler,
                    const NetnsRegistry& registry, RelayContext& context);

/// The connections that `filter` asks for, as they are now.
std::unique_ptr<ConnectionSource> snapshot_connections(RelayContext& context,
                                                       const ConnectionFilter& filter);

}  // namespace nsrelay
