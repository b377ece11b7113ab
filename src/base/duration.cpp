#include "nsrelay/base/duration.hpp"

#include <array>

#include "number_with_unit.hpp"

namespace nsrelay {
namespace {

constexpr std::array<Unit, 4> kUnits = {{{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr NumberFormat kFormat = {"a duration such as 250ms, 5s, 2m or 1h", "ms, s, m, h", kUnits};

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  auto count = parse_number_with_unit(text, kFormat);
  if (!count)
    return std::move(count).error();
  return Duration(static_cast<Duration::rep>(*count));
}

std::string format_duration(Duration duration) {
  if (duration == Duration::zero())
    return "0s";
  return format_number_with_unit(static_cast<std::uint64_t>(duration.count()), kFormat);
}

}  // namespace nsrelay
