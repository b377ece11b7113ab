#include "rate.hpp"

#include <charconv>
#include <string>

namespace nsrelay {

Result<std::uint32_t> parse_rate(std::string_view text) {
  constexpr std::uint32_t kMost = 2'147'483'647;
  constexpr std::string_view kUnit = "/s";
  if (text.ends_with(kUnit))
    text.remove_suffix(kUnit.size());
  std::uint32_t rate = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), rate);
  const bool is_number = rest == text.data() + text.size() && !text.starts_with('0');
  if (error != std::errc() || !is_number || rate > kMost)
    return Error("not a number per second; allowed: 1 to " + std::to_string(kMost) +
                 ", also written 20/s");
  return rate;
}

}  // namespace nsrelay
