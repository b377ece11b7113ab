#include "nsrelay/base/byte_size.hpp"

#include <array>

#include "number_with_unit.hpp"

namespace nsrelay {
namespace {

constexpr std::array<Unit, 4> kUnits = {
    {{"GiB", 1ULL << 30U}, {"MiB", 1ULL << 20U}, {"KiB", 1ULL << 10U}, {"B", 1}}};
constexpr NumberFormat kFormat = {"a size such as 64KiB or 1MiB", "B, KiB, MiB, GiB", kUnits};

}  // namespace

Result<ByteSize> parse_byte_size(std::string_view text) {
  auto count = parse_number_with_unit(text, kFormat);
  if (!count)
    return std::move(count).error();
  return ByteSize{*count};
}

std::string format_byte_size(ByteSize size) {
  return format_number_with_unit(size.bytes, kFormat);
}

}  // namespace nsrelay
