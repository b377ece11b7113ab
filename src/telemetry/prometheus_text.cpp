#include "nsrelay/telemetry/prometheus_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <iterator>

namespace nsrelay {
namespace {

std::string_view type_name(MetricType type) {
  switch (type) {
    case MetricType::Counter:
      return "counter";
    case MetricType::Gauge:
      return "gauge";
    case MetricType::Histogram:
      return "histogram";
  }
  return "";
}

bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U;
}

/// The length of the UTF-8 character that `text` begins with (RFC 3629), 0 where it is none.
std::size_t character_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80)
    return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length)
    return 0;
  if (!std::all_of(text.begin() + 1, text.begin() + static_cast<std::ptrdiff_t>(length),
                   is_continuation))
    return 0;
  // Overlong forms, surrogates, and what is beyond Unicode.
  const auto second = static_cast<unsigned char>(text[1]);
  const bool is_bad = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
                      (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
  return is_bad ? 0 : length;
}

void append_start(std::string& out, std::string_view name, std::string_view labels,
                  std::string_view more) {
  out += name;
  if (!labels.empty() || !more.empty()) {
    (out += '{') += labels;
    if (!labels.empty() && !more.empty())
      out += ',';
    (out += more) += '}';
  }
  out += ' ';
}

}  // namespace

void append_family(std::string& out, std::string_view name, MetricType type,
                   std::string_view help) {
  fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help,
                 type_name(type));
}

void append_label(std::string& labels, std::string_view name, std::string_view value) {
  if (!labels.empty())
    labels += ',';
  (labels += name) += "=\"";
  while (!value.empty()) {
    const std::size_t length = character_length(value);
    if (length == 0)
      fmt::format_to(std::back_inserter(labels), "\\\\x{:02x}",
                     static_cast<unsigned char>(value[0]));
    else if (value[0] == '\n')
      labels += "\\n";
    else if (value[0] == '"' || value[0] == '\\')
      (labels += '\\') += value[0];
    else
      labels += value.substr(0, length);
    value.remove_prefix(std::max<std::size_t>(length, 1));
  }
  labels += '"';
}

void append_sample(std::string& out, std::string_view name, std::string_view labels,
                   std::string_view more, std::uint64_t value) {
  append_start(out, name, labels, more);
  const fmt::format_int text(value);
  out.append(text.data(), text.size()) += '\n';
}

void append_sample(std::string& out, std::string_view name, std::string_view labels,
                   std::string_view more, double value) {
  append_start(out, name, labels, more);
  (out += format_number(value)) += '\n';
}

std::string format_number(double number) {
  char text[512];
  const auto end =
      std::to_chars(std::begin(text), std::end(text), number, std::chars_format::fixed);
  return {std::begin(text), end.ptr};
}

}  // namespace nsrelay
