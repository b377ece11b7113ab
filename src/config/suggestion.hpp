#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace nsrelay {

/// How many letters must be inserted, removed, replaced or swapped with their neighbour to turn
/// `a` into `b` (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate that `text` was probably meant to be; empty where none is near: one slip, and one
/// more for every three letters, up to three.
std::string_view closest(std::string_view text, std::span<const std::string_view> candidates);

/// "a, b, c"
std::string join(std::span<const std::string_view> words);

}  // namespace nsrelay
