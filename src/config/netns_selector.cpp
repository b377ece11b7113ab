#include "netns_selector.hpp"

#include <algorithm>
#include <charconv>
#include <string>

namespace nsrelay {
namespace {

using Kind = NetnsSelector::Kind;

constexpr std::size_t kLongestName = 255;        // NAME_MAX
constexpr std::size_t kLongestPath = 4095;       // PATH_MAX without its NUL
constexpr std::int32_t kLargestPid = 4'194'304;  // PID_MAX_LIMIT of the kernel
constexpr std::string_view kPidPrefix = "pid:";

bool is_pattern(std::string_view text) {
  return text.find_first_of("*?[") != std::string_view::npos;
}

/// Whether every '[' of a pattern has its ']' (which may not come first: glob(7)).
bool brackets_are_closed(std::string_view pattern) {
  for (std::size_t open = pattern.find('['); open != std::string_view::npos;) {
    std::size_t first = open + 1;
    if (first < pattern.size() && (pattern[first] == '!' || pattern[first] == '^'))
      ++first;
    const std::size_t close = pattern.find(']', first + 1);
    if (close == std::string_view::npos)
      return false;
    open = pattern.find('[', close);
  }
  return true;
}

NetnsSelector selector(Kind kind, std::string_view text, pid_t pid = 0) {
  return {kind, std::string(text), pid};
}

Result<void> check_component(std::string_view name) {
  if (name.empty() || name == "." || name == ".." || name.size() > kLongestName)
    return Error("not the name of a namespace; allowed: 1 to 255 bytes, not '.' or '..'");
  const bool has_control = std::any_of(name.begin(), name.end(), [](char byte) {
    return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f;
  });
  if (has_control)
    return Error("the name of a namespace may not contain control characters");
  if (!brackets_are_closed(name))
    return Error("'[' without ']' in a pattern");
  return {};
}

Result<NetnsSelector> parse_pid(std::string_view text) {
  const std::string_view digits = text.substr(kPidPrefix.size());
  pid_t pid = 0;
  const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), pid);
  if (error != std::errc() || rest != digits.data() + digits.size() || pid < 1 || pid > kLargestPid)
    return Error("not a process; allowed: pid:1 to pid:" + std::to_string(kLargestPid));
  return selector(Kind::Pid, text, pid);
}

Result<NetnsSelector> parse_path(std::string_view text) {
  const std::size_t slash = text.rfind('/');
  const std::string_view last = text.substr(slash + 1);
  if (text.size() > kLongestPath)
    return Error("the path is too long; allowed: at most 4095 bytes");
  if (auto valid = check_component(last); !valid)
    return std::move(valid).error();
  if (is_pattern(text.substr(0, slash)))
    return Error("a pattern is allowed in the last part of a path only");
  return selector(is_pattern(last) ? Kind::PathPattern : Kind::Path, text);
}

Result<NetnsSelector> parse_name(std::string_view text) {
  if (text.find('/') != std::string_view::npos)
    return Error("expected a name in /run/netns or an absolute path");
  if (auto valid = check_component(text); !valid)
    return std::move(valid).error();
  return selector(is_pattern(text) ? Kind::NamePattern : Kind::Name, text);
}

}  // namespace

Result<NetnsSelector> parse_netns(std::string_view text) {
  if (text == "default")
    return NetnsSelector{};
  if (text == "same")
    return Error("allowed in upstream.netns only");
  if (text.starts_with(kPidPrefix))
    return parse_pid(text);
  return text.starts_with('/') ? parse_path(text) : parse_name(text);
}

Result<NetnsSelector> parse_upstream_netns(std::string_view text) {
  if (text == "same")
    return selector(Kind::Same, text);
  auto parsed = parse_netns(text);
  if (parsed && (parsed->kind == Kind::NamePattern || parsed->kind == Kind::PathPattern))
    return Error("a pattern is not allowed here; expected default, same, NAME, PATH or pid:N");
  return parsed;
}

std::string canonical_text(const NetnsSelector& selector) {
  constexpr std::string_view kVarRun = "/var/run/";
  using Kind = NetnsSelector::Kind;
  if (selector.kind == Kind::Name || selector.kind == Kind::NamePattern)
    return "/run/netns/" + selector.text;
  if (selector.text.starts_with(kVarRun))
    return "/run/" + selector.text.substr(kVarRun.size());
  return selector.text;
}

}  // namespace nsrelay
