#include "number_with_unit.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace nsrelay {

Result<std::uint64_t> parse_number_with_unit(std::string_view text, const NumberFormat& format) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc::invalid_argument)
    return Error("expected " + std::string(format.example));
  const std::string_view unit_name(rest, static_cast<std::size_t>(end - rest));
  if (unit_name.empty())
    return Error("a unit is missing; expected " + std::string(format.example));
  const auto unit = std::find_if(format.units.begin(), format.units.end(),
                                 [&](const Unit& one) { return one.name == unit_name; });
  if (unit == format.units.end())
    return Error("unknown unit; allowed units: " + std::string(format.allowed));
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (error == std::errc::result_out_of_range || number > kMost / unit->factor)
    return Error("the number is too large");
  return number * unit->factor;
}

std::string format_number_with_unit(std::uint64_t value, const NumberFormat& format) {
  const auto unit = std::find_if(format.units.begin(), format.units.end(), [&](const Unit& one) {
    return value % one.factor == 0 && value >= one.factor;
  });
  const Unit& chosen = unit == format.units.end() ? format.units.back() : *unit;
  return std::to_string(value / chosen.factor) + std::string(chosen.name);
}

}  // namespace nsrelay
