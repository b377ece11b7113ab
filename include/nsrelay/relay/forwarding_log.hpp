#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

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

/// How something that was forwarded ended.
struct ForwardedEnd {
  const ListenerInfo& listener;
  const IpEndpoint& client;
  std::string_view upstream;   ///< the last that was tried, where none was connected
  std::uint64_t received = 0;  ///< bytes from the client
  std::uint64_t sent = 0;      ///< bytes to the client
  TimePoint began;
  Reason reason;
};

/// Whether an end for this reason is written: `log.level` and `log.connections` decide. Failures
/// that the rule wants count as successes here.
bool logs_end(RelayContext& context, Reason reason);

/// Writes the record of an end, which logs_end(). `more`: what only its protocol has.
void log_end(RelayContext& context, const RuleRuntime& runtime, const ForwardedEnd& end,
             std::initializer_list<LogField> more);

/// Counts datagrams that are dropped, and writes a record when a burst begins.
void count_drop(RelayContext& context, RuleRuntime& runtime, const ListenerInfo& listener,
                DropReason reason, std::uint64_t datagrams);

}  // namespace nsrelay
