#include "names.hpp"

#include <algorithm>

namespace nsrelay {
namespace {

constexpr std::size_t kLongestRuleName = 255;
constexpr std::size_t kLongestInterfaceName = 15;
constexpr std::size_t kLongestUnixPath = 107;
constexpr std::size_t kLongestHostName = 253;
constexpr std::size_t kLongestLabel = 63;
constexpr std::string_view kPlaceholder = "{netns}";

bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

bool is_alphanumeric(char byte) {
  return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/// Whether `text` has 1 to `most` bytes, each alphanumeric or one of `others`.
bool is_word(std::string_view text, std::size_t most, std::string_view others) {
  return !text.empty() && text.size() <= most && std::all_of(text.begin(), text.end(), [&](char c) {
    return is_alphanumeric(c) || others.find(c) != std::string_view::npos;
  });
}

/// RFC 1123, and '_', which container runtimes and {netns} bring.
bool is_label(std::string_view text) {
  return is_word(text, kLongestLabel, "-_") && text.front() != '-' && text.back() != '-';
}

bool are_labels(std::string_view text) {
  for (;;) {
    const std::size_t dot = text.find('.');
    if (!is_label(text.substr(0, dot)))
      return false;
    if (dot == std::string_view::npos)
      return true;
    text.remove_prefix(dot + 1);
  }
}

}  // namespace

Result<std::string> parse_rule_name(std::string_view text) {
  if (!is_word(text, kLongestRuleName, "_-."))
    return Error("not a rule name; allowed: 1 to 255 letters, digits, '_', '-', '.'");
  return std::string(text);
}

Result<std::string> parse_interface_name(std::string_view text) {
  const bool has_bad_byte = std::any_of(text.begin(), text.end(), [](char byte) {
    const auto value = static_cast<unsigned char>(byte);
    return value <= 0x20 || value == 0x7f || byte == '/' || byte == ':';
  });
  if (text.empty() || text.size() > kLongestInterfaceName || has_bad_byte || text == "." ||
      text == "..")
    return Error("not an interface name; allowed: 1 to 15 bytes without '/', ':' and white space");
  return std::string(text);
}

Result<std::string> parse_congestion_name(std::string_view text) {
  if (!is_word(text, kLongestInterfaceName, "_-"))
    return Error("not a congestion control; expected a name such as cubic, bbr or reno");
  return std::string(text);
}

Result<std::string> parse_unix_path(std::string_view text) {
  if (text.starts_with('@'))
    return Error("abstract sockets are not supported; expected an absolute path");
  if (!text.starts_with('/'))
    return Error("a Unix socket needs an absolute path");
  if (text.size() > kLongestUnixPath)
    return Error("a Unix path of " + std::to_string(text.size()) +
                 " bytes is too long; allowed: at most 107 bytes");
  return std::string(text);
}

Result<std::string> parse_optional_unix_path(std::string_view text) {
  if (text.empty())
    return std::string();
  return parse_unix_path(text);
}

Result<std::string> parse_host_name(std::string_view text) {
  const std::string_view name = text.ends_with('.') ? text.substr(0, text.size() - 1) : text;
  if (name.size() > kLongestHostName || !are_labels(name))
    return Error(
        "not a host name; allowed: labels of 1 to 63 letters, digits, '_' and inner '-', "
        "joined by '.'");
  const std::string_view last = name.substr(name.rfind('.') + 1);
  if (std::all_of(last.begin(), last.end(), is_digit))
    return Error("not an IPv4 address; expected for example 10.0.0.1");
  return std::string(text);
}

Result<std::string> replace_placeholders(std::string_view text, std::string_view name) {
  std::string out;
  while (!text.empty()) {
    if (text.starts_with(kPlaceholder)) {
      out += name;
      text.remove_prefix(kPlaceholder.size());
      continue;
    }
    if (text.front() == '{' || text.front() == '}')
      return Error("unknown placeholder; allowed: {netns}");
    out += text.front();
    text.remove_prefix(1);
  }
  return out;
}

}  // namespace nsrelay
