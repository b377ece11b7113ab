#pragma once

#include <cstdint>

namespace nsrelay {

/// What Prometheus clients tell of their process, under the same names.
struct ProcessMetrics {
  double cpu_seconds = 0;  ///< user and system
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t open_descriptors = 0;
  std::uint64_t most_descriptors = 0;  ///< RLIMIT_NOFILE
  double start_time = 0;               ///< seconds since the epoch
};

/// Reads proc(5). What cannot be read, which takes running out of descriptors, is 0.
ProcessMetrics read_process_metrics();

}  // namespace nsrelay
