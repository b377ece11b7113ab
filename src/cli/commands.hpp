#pragma once

#include <string>

#include "nsrelay/daemon/daemon.hpp"

namespace nsrelay {

/// What `nsrelay run` was given on its command line. Absent: as the file says.
struct RunOptions {
  std::string file;
  LogOverrides log;
};

// One function a command; each returns the exit status.

int run_daemon(const RunOptions& options);
int run_demo();
int run_doctor();

}  // namespace nsrelay
