#pragma once

#include <cstddef>
#include <string>

#include "nsrelay/base/result.hpp"

namespace nsrelay {

inline constexpr std::size_t kLargestConfigFile = 16 << 20;

/// The whole content of a regular file of at most kLargestConfigFile bytes. Anything else (a pipe,
/// a device) is refused without waiting for it, so that a reload can never hang the daemon. Errors
/// are those of open(2) and read(2) as plain text, e.g. "No such file or directory".
Result<std::string> read_config_file(const std::string& file);

}  // namespace nsrelay
