#pragma once

#include <cstdint>

#include "nsrelay/relay/listener.hpp"
#include "nsrelay/relay/relay_context.hpp"
#include "nsrelay/relay/rule_runtime.hpp"
#include "nsrelay/telemetry/drop_reason.hpp"
#include "nsrelay/upstream/connector.hpp"

namespace nsrelay {

/// Writes that a target could not be had.
void log_upstream_failed(Log& log, const RuleRuntime& runtime, const ListenerInfo& listener,
                         const FailedAttempt& attempt);

/// Writes that a client was refused because it came from nsrelay itself, by way of `from_rule`.
void log_forwarding_loop(Log& log, const RuleRuntime& runtime, const ListenerInfo& listener,
                         const IpEndpoint& client, std::string_view from_rule);

/// Counts datagrams that are dropped, and writes a record when a burst begins.
void count_drop(RelayContext& context, RuleRuntime& runtime, const ListenerInfo& listener,
                DropReason reason, std::uint64_t datagrams);

}  // namespace nsrelay
