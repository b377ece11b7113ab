#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/netns/netns.hpp"

namespace nsrelay {

/// What a user calls a namespace, and what is behind the name at present.
struct NetnsEntry {
  /// As it stands in logs: the name, the last part of a path, `pid:N`, or `default`.
  std::string name;
  /// What it is looked up by: the path of its file, `pid:N`, or `default`. Two files in different
  /// folders may have one name.
  std::string source;
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

/// Where listeners are: in a namespace, or waiting for a name behind which there is none.
struct NetnsIdentity {
  std::uint64_t cookie = 0;  ///< 0: there is none
  std::string absent;        ///< the source of the entry whose namespace is absent, else empty

  friend auto operator<=>(const NetnsIdentity&, const NetnsIdentity&) = default;
};

NetnsIdentity identity_of(const NetnsEntry& entry);

/// What became different in the registry.
struct NetnsChanges {
  /// What some name came to mean, or does not mean any more.
  std::set<NetnsIdentity> identities;
  /// Cookies of the namespaces that no name means any more.
  std::set<std::uint64_t> gone;
};

/// What logs and `{netns}` call the namespace of `selector`.
std::string netns_display_name(const NetnsSelector& selector);

/// The path of the namespace file that a selector of kind Name or Path means.
std::string path_of(const NetnsSelector& selector);

/// The folder of a selector of kind NamePattern or PathPattern, without a slash at its end.
std::string folder_of(const NetnsSelector& selector);

/// The part of an absolute path before its last slash, and the part after it.
std::string folder_of_path(const std::string& path);
std::string last_part(const std::string& path);
/// `folder` and `name` with one slash between them.
std::string join_path(const std::string& folder, const std::string& name);

/// Whether a pattern matches a file of its folder that has this name.
bool matches_name(const NetnsSelector& pattern, const std::string& name);

/// Whether `selector` means `entry`. A pattern means what is present. Nothing is `same`.
bool means(const NetnsSelector& selector, const NetnsEntry& entry);

}  // namespace nsrelay
