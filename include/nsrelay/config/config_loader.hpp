#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "nsrelay/config/config.hpp"

namespace nsrelay {

/// One thing that is wrong with a file. Prints as `FILE:LINE:COLUMN: error: WHAT`; without a line
/// (the file could not be read) as `FILE: error: WHAT`.
struct ConfigFault {
  int line = 0;    ///< 1-based; 0: the whole file
  int column = 0;  ///< 1-based, in bytes
  std::string what;
};

/// `fault` as one line for stderr, without the newline.
std::string format_fault(const std::string& file, const ConfigFault& fault);

/// A valid configuration, or every fault of the file in file order (never empty).
using ConfigOutcome = std::variant<Config, std::vector<ConfigFault>>;

/// Reads and validates a regular file of at most 16 MiB. Opens no socket and looks at no
/// namespace, so that it can run anywhere. Any content is safe.
ConfigOutcome load_config(const std::string& file);

/// The same for text that is already in memory; `file` is only its name.
ConfigOutcome parse_config(std::string_view text, const std::string& file);

}  // namespace nsrelay
