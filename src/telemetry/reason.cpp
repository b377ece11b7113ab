#include "nsrelay/telemetry/reason.hpp"

namespace nsrelay {

bool is_failure(Reason reason) {
  return reason >= Reason::Denied;
}

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::ClientClosed:
      return "client_closed";
    case Reason::UpstreamClosed:
      return "upstream_closed";
    case Reason::ClientReset:
      return "client_reset";
    case Reason::UpstreamReset:
      return "upstream_reset";
    case Reason::ClientTimeout:
      return "client_timeout";
    case Reason::UpstreamTimeout:
      return "upstream_timeout";
    case Reason::ClientRestarted:
      return "client_restarted";
    case Reason::UpstreamRestarted:
      return "upstream_restarted";
    case Reason::IdleTimeout:
      return "idle_timeout";
    case Reason::SessionTimeout:
      return "session_timeout";
    case Reason::HalfCloseTimeout:
      return "half_close_timeout";
    case Reason::Drained:
      return "drained";
    case Reason::NetnsDeleted:
      return "netns_deleted";
    case Reason::UpstreamMoved:
      return "upstream_moved";
    case Reason::Denied:
      return "denied";
    case Reason::PerSourceConnections:
      return "per_source_connections";
    case Reason::PerSourceRate:
      return "per_source_rate";
    case Reason::ProxyHeaderInvalid:
      return "proxy_header_invalid";
    case Reason::ProxyHeaderTimeout:
      return "proxy_header_timeout";
    case Reason::ForwardingLoop:
      return "forwarding_loop";
    case Reason::ConnectRefused:
      return "connect_refused";
    case Reason::ConnectTimeout:
      return "connect_timeout";
    case Reason::ConnectUnreachable:
      return "connect_unreachable";
    case Reason::ConnectFailed:
      return "connect_failed";
    case Reason::NameNotFound:
      return "name_not_found";
    case Reason::SourceAbsent:
      return "source_absent";
    case Reason::NoSourcePort:
      return "no_source_port";
    case Reason::UpstreamNetnsAbsent:
      return "upstream_netns_absent";
    case Reason::OutOfDescriptors:
      return "out_of_descriptors";
    case Reason::OutOfMemory:
      return "out_of_memory";
    case Reason::AcceptFailed:
      return "accept_failed";
    case Reason::MessageTooLong:
      return "message_too_long";
    case Reason::TooFewStreams:
      return "too_few_streams";
  }
  return "";
}

}  // namespace nsrelay
