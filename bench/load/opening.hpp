#pragma once

#include <vector>

#include "nsrelay/base/unique_fd.hpp"
#include "workload.hpp"

namespace nsrelay::bench {

/// Opens all connections of the options with `service` as their first byte, and waits until that
/// byte has come back on each: from there on the path is open end to end. Ends the program, saying
/// how many were open, where one fails or ten seconds pass without progress.
std::vector<UniqueFd> open_all(const ClientOptions& options, char service);

}  // namespace nsrelay::bench
