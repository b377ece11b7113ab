#pragma once

#include <cstdint>
#include <string_view>

#include "nsrelay/base/ip_address.hpp"

namespace nsrelay {

/// A seed that nobody outside can know: for tables whose keys strangers choose.
std::uint64_t random_seed();

/// `hash` with one more word stirred in: every bit of the input changes half of the output (the
/// finisher of MurmurHash3, public domain). Not a secret to who sees the results.
std::uint64_t mix(std::uint64_t hash, std::uint64_t word);
std::uint64_t mix(std::uint64_t hash, const IpAddress& address);
std::uint64_t mix(std::uint64_t hash, std::string_view text);

}  // namespace nsrelay
