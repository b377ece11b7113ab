#include "human_text.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

namespace nsrelay {
namespace {

template <class... Arguments>
std::string format(const char* pattern, Arguments... arguments) {
  std::array<char, 64> text;
  std::snprintf(text.data(), text.size(), pattern, arguments...);
  return text.data();
}

}  // namespace

std::string human_bytes(double bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < kUnits.size(); ++unit)
    bytes /= 1024;
  return format(unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, kUnits[unit]);
}

std::string human_age(double seconds) {
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  constexpr std::int64_t kDay = 24 * kHour;
  const auto whole = static_cast<std::int64_t>(seconds);
  if (seconds < 10)
    return format("%.1fs", seconds);
  if (whole < kMinute)
    return format("%llds", static_cast<long long>(whole));
  if (whole < kHour)
    return format("%lldm%02llds", static_cast<long long>(whole / kMinute),
                  static_cast<long long>(whole % kMinute));
  if (whole < kDay)
    return format("%lldh%02lldm", static_cast<long long>(whole / kHour),
                  static_cast<long long>(whole % kHour / kMinute));
  return format("%lldd%lldh", static_cast<long long>(whole / kDay),
                static_cast<long long>(whole % kDay / kHour));
}

std::string counted(std::uint64_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string printable(std::string_view text) {
  std::string shown(text);
  for (char& byte : shown)
    if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f)
      byte = '?';
  return shown;
}

bool wants_colour(int fd) {
  const char* no_colour = std::getenv("NO_COLOR");
  return ::isatty(fd) == 1 && (no_colour == nullptr || *no_colour == '\0');
}

}  // namespace nsrelay
