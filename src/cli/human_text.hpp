#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nsrelay {

/// `512 B`, `1.5 KiB`, `20 GiB`: three digits or so, for a person.
std::string human_bytes(double bytes);

/// `0.4s`, `59s`, `4m05s`, `3h07m`, `2d4h`.
std::string human_age(double seconds);

/// `1 listener`, `2 listeners`.
std::string counted(std::uint64_t count, const std::string& noun);

/// Control characters, which a terminal would obey, become `?`.
std::string printable(std::string_view text);

/// Whether to colour what is written to `fd`: it is a terminal, and NO_COLOR (no-color.org) is not
/// set.
bool wants_colour(int fd);

}  // namespace nsrelay
