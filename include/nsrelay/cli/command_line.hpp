#pragma once

namespace nsrelay {

/// Runs the command that the arguments of main() name and returns the exit status.
int run_command_line(int count, const char* const* arguments);

}  // namespace nsrelay
