#include "fault_list.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace nsrelay {
namespace {

constexpr std::size_t kLongestQuote = 120;

auto order_of(const ConfigFault& fault) {
  return std::tie(fault.line, fault.column, fault.what);
}

bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80;
}

std::string_view cut(std::string_view text) {
  std::size_t length = kLongestQuote;
  while (length > 0 && is_continuation(text[length]))
    --length;
  return text.substr(0, length);
}

void append_escaped(std::string& out, char byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const auto value = static_cast<unsigned char>(byte);
  if (value >= 0x20 && value != 0x7f) {
    out += byte;
    return;
  }
  out += "\\x";
  out += kDigits[value >> 4U];
  out += kDigits[value & 0xfU];
}

}  // namespace

void FaultList::add(Position position, std::string what) {
  faults_.push_back({position.line, position.column, std::move(what)});
}

std::vector<ConfigFault> FaultList::take() {
  std::sort(faults_.begin(), faults_.end(),
            [](const auto& a, const auto& b) { return order_of(a) < order_of(b); });
  const auto last = std::unique(faults_.begin(), faults_.end(), [](const auto& a, const auto& b) {
    return order_of(a) == order_of(b);
  });
  faults_.erase(last, faults_.end());
  return std::exchange(faults_, {});
}

std::string in_quotes(std::string_view text) {
  const bool is_long = text.size() > kLongestQuote;
  std::string out = "'";
  for (const char byte : is_long ? cut(text) : text)
    append_escaped(out, byte);
  return out + (is_long ? "…'" : "'");
}

}  // namespace nsrelay
