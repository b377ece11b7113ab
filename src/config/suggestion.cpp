#include "suggestion.hpp"

#include <algorithm>
#include <vector>

namespace nsrelay {
namespace {

std::size_t most_slips(std::string_view text) {
  return std::min<std::size_t>(3, std::max<std::size_t>(1, text.size() / 3));
}

bool lengths_are_near(std::string_view a, std::string_view b, std::size_t slips) {
  return std::max(a.size(), b.size()) - std::min(a.size(), b.size()) <= slips;
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Three rows of the matrix are enough: a swap looks two rows back.
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::string_view closest(std::string_view text, std::span<const std::string_view> candidates) {
  std::size_t least = most_slips(text) + 1;
  std::string_view best;
  for (const std::string_view candidate : candidates) {
    if (!lengths_are_near(text, candidate, least))
      continue;
    const std::size_t distance = edit_distance(text, candidate);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

std::string join(std::span<const std::string_view> words) {
  std::string out;
  for (const std::string_view word : words) {
    if (!out.empty())
      out += ", ";
    out += word;
  }
  return out;
}

}  // namespace nsrelay
