#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "nsrelay/config/config.hpp"
#include "nsrelay/netns/netns_registry.hpp"

namespace nsrelay {

/// What makes two listeners the same: where their packets arrive. Never the namespace's name,
/// which is only used while there is no namespace behind it.
struct ListenerKey {
  std::uint64_t cookie = 0;    ///< identity of the namespace; 0 while it is absent
  std::string absent_netns{};  ///< its selector's text while it is absent, else empty
  Protocol protocol = Protocol::Tcp;
  std::string address{};  ///< `0.0.0.0:8000`, `*:8000`, `[fe80::1%eth0]:8000`
  std::string device{};   ///< bind_device
  /// The name of the rule, where another rule comes first with this very listener (which only
  /// shows when two names turn out to be one namespace): it is wanted too, and cannot be had.
  std::string shadowed_rule{};

  friend auto operator<=>(const ListenerKey&, const ListenerKey&) = default;
};

/// One listener that the configuration asks for in the namespaces that exist now.
struct DesiredListener {
  ListenerKey key;
  const ForwardRule* rule = nullptr;
  const ListenSpec* listen = nullptr;
  std::uint16_t port = 0;
  std::uint16_t port_offset = 0;
  NetnsRef netns;
  /// The rule that has the same listener under another name of the namespace, and comes first.
  const ForwardRule* taken_by = nullptr;
};

/// What a selector means at present: one entry (which may be absent), or for a pattern any number
/// of entries, in the order of their names.
using NetnsLookup = std::function<std::vector<NetnsRef>(const NetnsSelector&)>;

/// Everything that `config` wants open, one entry per namespace, address and port, in the order of
/// the configuration. Two names of one namespace in a rule give one listener, under the first.
/// Pure, but for `look_up`.
std::vector<DesiredListener> expand(const Config& config, const NetnsLookup& look_up);

/// The part of expand() that is in the namespaces of `entries`, which have to be all entries of
/// these namespaces, ordered by source: listeners of different namespaces do not depend on each
/// other.
std::vector<DesiredListener> expand_among(const Config& config,
                                          const std::vector<NetnsRef>& entries);

/// What has to be done to get from one set of listeners to another. Keys, in the order given.
struct ListenerDiff {
  std::vector<ListenerKey> close;  ///< actual and not desired
  std::vector<ListenerKey> open;   ///< desired and not actual
};

/// Pure. Both lists must be sorted and without duplicates, as a std::map gives them.
ListenerDiff diff(const std::vector<ListenerKey>& actual, const std::vector<ListenerKey>& desired);

}  // namespace nsrelay
