#include "nsrelay/relay/forwarding_log.hpp"

namespace nsrelay {
namespace {

/// What a person can do about it.
const char* advice(DropReason reason) {
  switch (reason) {
    case DropReason::Denied:
      return "allow and deny of the rule decide";
    case DropReason::PerSourceConnections:
    case DropReason::PerSourceRate:
      return "per_source of the rule; sessions that run go on";
    case DropReason::ForwardingLoop:
      return "the record with reason=forwarding_loop before this one names the rules";
    case DropReason::MaxSessions:
      return "max_sessions of the rule, or a shorter session_timeout";
    case DropReason::Draining:
      return "new clients are not served while the listener closes";
    case DropReason::OutOfDescriptors:
      return "LimitNOFILE, or a smaller max_sessions; established sessions go on";
    case DropReason::OutOfMemory:
      return "net.ipv4.udp_mem, or memory";
    case DropReason::ConnectQueueFull:
      return "more came than is kept while the upstream is sought";
    case DropReason::NoUpstream:
      return "the records upstream_failed before this one say why";
    case DropReason::TooLong:
      return "the other side's protocol carries no datagram of this length";
    case DropReason::SendBufferFull:
      return "send_buffer of the rule, net.core.wmem_max";
    case DropReason::SendFailed:
      return "routes, addresses and firewall of the namespace that sends";
    case DropReason::Truncated:
      return "this is a bug, please report it";
    case DropReason::ReceiveOverflow:
      return "receive_buffer of the rule, net.core.rmem_max";
  }
  return "";
}

/// Not by the rule's own wish.
bool is_trouble(Reason reason) {
  return is_failure(reason) && reason != Reason::Denied;
}

LogLevel level_of(Reason reason) {
  return is_trouble(reason) ? LogLevel::Warn : LogLevel::Info;
}

}  // namespace

void log_upstream_failed(Log& log, const RuleRuntime& runtime, const ListenerInfo& listener,
                         const FailedAttempt& attempt) {
  log.write({.level = LogLevel::Warn,
             .event = log_event::kUpstreamFailed,
             .rule = runtime.rule().name,
             .netns = listener.netns,
             .protocol = to_string(runtime.rule().protocol),
             .upstream = attempt.target,
             .reason = to_string(attempt.reason),
             .more = {{"error", attempt.text}}});
}

void log_forwarding_loop(Log& log, const RuleRuntime& runtime, const ListenerInfo& listener,
                         const IpEndpoint& client, std::string_view from_rule) {
  const std::string peer = client.to_string();
  log.write({.level = LogLevel::Warn,
             .event = log_event::kConnectionFailed,
             .rule = runtime.rule().name,
             .netns = listener.netns,
             .protocol = to_string(runtime.rule().protocol),
             .client = peer,
             .listener = listener.address,
             .reason = to_string(Reason::ForwardingLoop),
             .more = {{"from_rule", std::string(from_rule)},
                      {"see", "a target of from_rule leads back to this listener"}}});
}

bool logs_end(RelayContext& context, Reason reason) {
  return context.log().takes(level_of(reason)) &&
         (is_trouble(reason) || context.logs_connections());
}

void log_end(RelayContext& context, const RuleRuntime& runtime, const ForwardedEnd& end,
             std::initializer_list<LogField> more) {
  const std::string client = end.client.to_string();
  context.log().write({.level = level_of(end.reason),
                       .event = is_failure(end.reason) ? log_event::kConnectionFailed
                                                       : log_event::kConnectionClosed,
                       .rule = runtime.rule().name,
                       .netns = end.listener.netns,
                       .protocol = to_string(runtime.rule().protocol),
                       .client = client,
                       .listener = end.listener.address,
                       .upstream = end.upstream,
                       .received = end.received,
                       .sent = end.sent,
                       .duration = std::chrono::duration_cast<std::chrono::microseconds>(
                           context.loop().now() - end.began),
                       .reason = to_string(end.reason),
                       .more = more});
}

void count_drop(RelayContext& context, RuleRuntime& runtime, const ListenerInfo& listener,
                DropReason reason, std::uint64_t datagrams) {
  if (datagrams == 0)
    return;
  std::uint64_t& total = listener.traffic->datagrams_dropped[reason];
  total += datagrams;
  if (!runtime.drop_bursts().begins(reason, context.loop().now()))
    return;
  const bool is_wanted = reason == DropReason::Denied || reason == DropReason::Draining;
  context.log().write({.level = is_wanted ? LogLevel::Info : LogLevel::Warn,
                       .event = log_event::kDatagramsDropped,
                       .rule = runtime.rule().name,
                       .netns = listener.netns,
                       .protocol = to_string(runtime.rule().protocol),
                       .listener = listener.address,
                       .reason = to_string(reason),
                       .more = {{"dropped", std::to_string(datagrams)},
                                {"total", std::to_string(total)},
                                {"see", advice(reason)}}});
}

}  // namespace nsrelay
