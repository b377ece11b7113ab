#pragma once

#include <optional>
#include <string>

#include "nsrelay/base/duration.hpp"

namespace nsrelay {

/// What the commands that talk to a running daemon were given.
struct ClientOptions {
  std::string control;  ///< path of the control socket
  bool json = false;
  std::optional<std::string> rule;
  std::optional<std::string> netns;
  std::optional<Duration> timeout;  ///< of a drain; absent: the daemon's drain_timeout
};

// One function a command; each returns the exit status.

int run_status(const ClientOptions& options);
int run_connections(const ClientOptions& options);
int run_reload(const ClientOptions& options);
/// Needs `rule` or `netns`, one of them.
int run_drain(const ClientOptions& options);
int run_top(const ClientOptions& options);

}  // namespace nsrelay
