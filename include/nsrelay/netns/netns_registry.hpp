#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "nsrelay/base/result.hpp"
#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/netns/netns.hpp"

namespace nsrelay {

/// What a user calls a namespace, and what is behind the name at present.
struct NetnsEntry {
  /// As it stands in logs: the name, the last part of a path, `pid:N`, or `default`.
  std::string name;
  /// Absent while there is none.
  std::optional<Netns> netns;
  /// Why it is absent, for a person.
  std::string why_absent;

  /// Whether the namespace with this identity is what the name means now.
  [[nodiscard]] bool is(std::uint64_t cookie) const { return netns && netns->cookie() == cookie; }
};

/// Shared by whoever needs to know what the name means at the moment, because a name may go while a
/// connection that began under it goes on. Changed by the registry alone.
using NetnsRef = std::shared_ptr<const NetnsEntry>;

/// The namespaces that the configuration speaks of.
class NetnsRegistry {
 public:
  NetnsRegistry() = default;
  NetnsRegistry(const NetnsRegistry&) = delete;
  NetnsRegistry& operator=(const NetnsRegistry&) = delete;

  /// The entry of a selector that means one namespace (not `same`, no pattern), looked up now if
  /// it is the first time.
  NetnsRef get(const NetnsSelector& selector);

  /// Looks every name up again. An entry whose name is gone, or means another namespace now, lets
  /// go of the old one; one that cannot be looked up now (out of descriptors) stays as it is.
  /// Returns whether anything changed.
  bool refresh();

  /// The identities of all namespaces that are present, the own one included.
  [[nodiscard]] std::set<std::uint64_t> present_cookies() const;

 private:
  struct Tracked {
    NetnsSelector selector;
    std::shared_ptr<NetnsEntry> entry = std::make_shared<NetnsEntry>();
  };

  static bool look_up(Tracked& tracked);

  std::map<std::string, Tracked> tracked_;
};

/// What logs and `{netns}` call the namespaces of `selector`.
std::string netns_display_name(const NetnsSelector& selector);

}  // namespace nsrelay
