#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nsrelay {

/// Why a listener does not accept for a while: the values of the metrics' label.
enum class PauseReason : std::uint8_t {
  MaxConnections,    ///< the rule has max_connections
  OutOfDescriptors,  ///< EMFILE, ENFILE, or none in reserve
  OutOfMemory,       ///< ENOBUFS, ENOMEM
  AcceptFailed,      ///< accept4(2) failed in a way that it should not
};

inline constexpr std::size_t kPauseReasons = 4;

/// As it stands in logs and metrics, e.g. "out_of_descriptors".
std::string_view to_string(PauseReason reason);

}  // namespace nsrelay
