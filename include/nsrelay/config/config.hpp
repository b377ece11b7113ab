#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nsrelay/base/duration.hpp"
#include "nsrelay/config/forward_rule.hpp"

namespace nsrelay {

enum class LogLevel : std::uint8_t { Trace, Debug, Info, Warn, Error };
enum class LogTarget : std::uint8_t { Auto, Journal, Stderr };

/// Where commands look for the daemon.
inline constexpr const char* kDefaultControlSocket = "/run/nsrelay/control.sock";

struct LogConfig {
  LogLevel level = LogLevel::Info;
  LogTarget target = LogTarget::Auto;
  /// One record per finished connection, session, association.
  bool connections = true;

  friend bool operator==(const LogConfig&, const LogConfig&) = default;
};

/// A whole configuration file: plain values, valid as a whole. Made by load_config() and shared,
/// unchanged, from then on.
struct Config {
  /// The file it came from, as named by the user.
  std::string file;
  LogConfig log;
  /// Empty: no control socket. Absent: kDefaultControlSocket, where it can be made.
  std::optional<std::string> control_socket;
  /// One address and one port. Absent: no metrics.
  std::optional<ListenSpec> metrics_listen;
  Duration drain_timeout{30'000};
  /// Whether the loop spins for a moment before it sleeps, while a few connections are active.
  bool busy_poll = false;
  std::vector<ForwardRule> rules;
};

}  // namespace nsrelay
