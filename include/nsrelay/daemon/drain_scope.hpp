#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace nsrelay {

/// What `nsrelay drain` was asked to drain: a rule, or namespaces (one name can mean several).
struct DrainScope {
  std::optional<std::string> rule;
  std::set<std::uint64_t> cookies;

  /// Whether a listener of `rule_name` in the namespace with the identity `cookie` belongs to it.
  [[nodiscard]] bool covers(std::string_view rule_name, std::uint64_t cookie) const {
    return rule ? *rule == rule_name : cookies.contains(cookie);
  }
};

}  // namespace nsrelay
