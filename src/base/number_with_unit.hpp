#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "nsrelay/base/result.hpp"

namespace nsrelay {

/// A unit's name and how many of the smallest unit it is.
struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

/// How a quantity is written. `units` runs from the largest to the smallest, whose factor is 1.
struct NumberFormat {
  std::string_view example;  // "a duration such as 250ms, 5s, 2m or 1h"
  std::string_view allowed;  // "ms, s, m, h"
  std::span<const Unit> units;
};

/// Reads digits followed by a unit's name; returns the value in the smallest unit. Values that
/// do not fit 63 bits are an error.
Result<std::uint64_t> parse_number_with_unit(std::string_view text, const NumberFormat& format);

/// Writes `value` (in the smallest unit) in the largest unit that divides it.
std::string format_number_with_unit(std::uint64_t value, const NumberFormat& format);

}  // namespace nsrelay
