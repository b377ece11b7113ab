#pragma once

namespace nsrelay {

/// Exit statuses of every command.
inline constexpr int kSuccess = 0;
inline constexpr int kFailure = 1;  ///< it failed while running
inline constexpr int kUsage = 2;    ///< wrong usage or an invalid configuration

}  // namespace nsrelay
