#pragma once

#include <optional>
#include <string>

#include "nsrelay/config/config.hpp"

namespace nsrelay {

/// What `nsrelay run` was given on its command line. Absent: as the file says.
struct RunOptions {
  std::string file;
  std::optional<LogLevel> log_level;
  std::optional<LogTarget> log_target;
};

// One function a command; each returns the exit status.

int run_daemon(const RunOptions& options);
int run_demo();
int run_doctor();

}  // namespace nsrelay
