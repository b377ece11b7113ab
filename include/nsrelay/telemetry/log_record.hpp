#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "nsrelay/config/config.hpp"

namespace nsrelay {

/// A kind of event: the value of `event` and the words for a person.
struct LogEvent {
  std::string_view name;
  std::string_view message;
};

namespace log_event {
inline constexpr LogEvent kStarted = {"started", "started"};
inline constexpr LogEvent kStopping = {"stopping", "stopping"};
inline constexpr LogEvent kStopped = {"stopped", "stopped"};
inline constexpr LogEvent kReload = {"reload", "configuration reload"};
inline constexpr LogEvent kDrain = {"drain", "drain begun"};
inline constexpr LogEvent kControlUnavailable = {"control_unavailable", "no control socket"};
inline constexpr LogEvent kListenerOpen = {"listener_open", "listener open"};
inline constexpr LogEvent kListenerPending = {"listener_pending", "listener pending"};
inline constexpr LogEvent kListenerClosed = {"listener_closed", "listener closed"};
inline constexpr LogEvent kDescriptorClosed = {"descriptor_closed", "inherited descriptor closed"};
inline constexpr LogEvent kConnectionClosed = {"connection_closed", "connection closed"};
inline constexpr LogEvent kConnectionFailed = {"connection_failed", "connection failed"};
inline constexpr LogEvent kUpstreamFailed = {"upstream_failed", "upstream failed"};
inline constexpr LogEvent kUpstreamDown = {"upstream_down", "upstream down"};
inline constexpr LogEvent kUpstreamUp = {"upstream_up", "upstream up"};
inline constexpr LogEvent kAcceptPaused = {"accept_paused", "accepting paused"};
inline constexpr LogEvent kDatagramsDropped = {"datagrams_dropped", "datagrams dropped"};
inline constexpr LogEvent kLogDropped = {"log_dropped", "log records dropped"};
}  // namespace log_event

/// One more field of a record, for what only one kind of event has.
struct LogField {
  std::string_view key;
  std::string value;
};

/// One record, before any sink gives it a form. Fields that are empty are absent. Borrows its
/// texts for the length of the call that writes it.
struct LogRecord {
  LogLevel level = LogLevel::Info;
  LogEvent event;
  std::string_view rule{};
  std::string_view netns{};
  std::string_view protocol{};
  std::string_view client{};
  std::string_view listener{};
  std::string_view upstream{};
  std::optional<std::uint64_t> received{};  ///< bytes from the client
  std::optional<std::uint64_t> sent{};      ///< bytes to the client
  std::optional<std::chrono::microseconds> duration{};
  std::string_view reason{};
  std::initializer_list<LogField> more{};
};

/// `record` as one line without a newline: the message, then `key=value` for every field that is
/// there. Values with spaces, quotes or control characters are quoted, with C escapes.
std::string format_as_text(const LogRecord& record);

/// "trace", "debug", "info", "warn", "error".
std::string_view to_string(LogLevel level);

}  // namespace nsrelay
