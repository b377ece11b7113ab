#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "nsrelay/config/config.hpp"

namespace nsrelay {

/// A kind of event: the value of `event`, the words for a person, and the MESSAGE_ID of the journal
/// (random and for ever: `systemd-id128 new`), which systemd/nsrelay.catalog explains.
struct LogEvent {
  std::string_view name;
  std::string_view message;
  std::string_view id{};
};

namespace log_event {
inline constexpr LogEvent kStarted = {"started", "started", "2b7096f00f6f406c862bb4da3583b73a"};
inline constexpr LogEvent kStopping = {"stopping", "stopping", "2668ee3d0a0941d0a30bf0538f458995"};
inline constexpr LogEvent kStopped = {"stopped", "stopped", "a8f2fb6e170c42dd94de452b4fa1f41c"};
inline constexpr LogEvent kReload = {"reload", "configuration reload",
                                     "67827cd6012f4ec695576931c30b9dd4"};
inline constexpr LogEvent kDrain = {"drain", "drain begun", "f0852072bcb748d1ac4c880abb455490"};
inline constexpr LogEvent kControlUnavailable = {"control_unavailable", "no control socket",
                                                 "0708702a79c746d18188f833874bae1c"};
inline constexpr LogEvent kListenerOpen = {"listener_open", "listener open",
                                           "fb54202a211140c0bbe054f97b4cde06"};
inline constexpr LogEvent kListenerPending = {"listener_pending", "listener pending",
                                              "0d23cb28a0c9499ba961db9bf7711ce4"};
inline constexpr LogEvent kListenerClosed = {"listener_closed", "listener closed",
                                             "c94efe22e3a9490f954330ba5fbee709"};
inline constexpr LogEvent kDescriptorClosed = {"descriptor_closed", "inherited descriptor closed",
                                               "720757a6b0b24a21915f6bf3b03c591f"};
inline constexpr LogEvent kConnectionClosed = {"connection_closed", "connection closed",
                                               "0be6318ebf7744f9a65506b3c49c7595"};
inline constexpr LogEvent kConnectionFailed = {"connection_failed", "connection failed",
                                               "23ed7150fd6c46119e6b9cda27642dc4"};
inline constexpr LogEvent kUpstreamFailed = {"upstream_failed", "upstream failed",
                                             "a480cffda1be44309a6b773c9089d82d"};
inline constexpr LogEvent kUpstreamDown = {"upstream_down", "upstream down",
                                           "8789c84c20ba417188d20bc8c31b54e0"};
inline constexpr LogEvent kUpstreamUp = {"upstream_up", "upstream up",
                                         "4c840b9c3d7e44d2920b0b97698a44a5"};
inline constexpr LogEvent kAcceptPaused = {"accept_paused", "accepting paused",
                                           "e58a62ff402147b0be1b75f99a1ea64e"};
inline constexpr LogEvent kDatagramsDropped = {"datagrams_dropped", "datagrams dropped",
                                               "bd6fac55a8694494a7044e54d98b6df0"};
inline constexpr LogEvent kJournalUnavailable = {"journal_unavailable", "journal unavailable",
                                                 "f64c06ace79a4e6093ee6327b6091088"};
inline constexpr LogEvent kLogDropped = {"log_dropped", "log records dropped",
                                         "51898e6506e04b27a55b01d98f3f1404"};
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

/// The same, behind what `line` has already.
void append_as_text(std::string& line, const LogRecord& record);

/// "trace", "debug", "info", "warn", "error".
std::string_view to_string(LogLevel level);

}  // namespace nsrelay
