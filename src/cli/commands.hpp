#pragma once

#include <iosfwd>
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

/// Validates `file`: `FILE: ok: N rules` to `out`, or one line per fault to `err`.
int check_configuration(const std::string& file, std::ostream& out, std::ostream& err);

}  // namespace nsrelay
