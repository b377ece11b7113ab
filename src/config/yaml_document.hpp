#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "fault_list.hpp"

namespace nsrelay {

/// One node of a YAML document, with its exact place.
struct YamlNode {
  enum class Kind : std::uint8_t { Null, Scalar, Sequence, Mapping };
  struct Entry {
    const YamlNode* key;
    const YamlNode* value;
  };

  Kind kind = Kind::Null;
  Position position;
  /// Scalar: its text, and whether it was written in quotes (or as a block), which makes it text
  /// whatever it looks like.
  std::string text;
  bool quoted = false;
  /// Sequence: its items; Mapping: its entries, without duplicates. An alias points to the node
  /// that its anchor names, so a node may have several parents.
  std::vector<const YamlNode*> items;
  std::vector<Entry> entries;
  /// How many nodes it is with all aliases written out (an entry of a mapping counts once), and
  /// how many collections deep.
  std::uint64_t weight = 1;
  int height = 0;

  /// The value of `key` in a mapping; null where it is absent.
  [[nodiscard]] const YamlNode* find(std::string_view key) const;
};

/// What kind of node it is, for messages: "a list".
std::string_view describe(const YamlNode& node);

/// Owns the nodes of one document.
struct YamlDocument {
  std::deque<YamlNode> nodes;
  /// Null where the text holds no document that can be used; the faults say why.
  const YamlNode* root = nullptr;
};

/// Limits of a document. They hold after aliases are written out, so that walking the tree is
/// cheap whatever the text.
inline constexpr int kDeepestNesting = 32;
inline constexpr std::uint64_t kMostNodes = 100'000;

/// Reads the one YAML document of `text`. Every problem becomes a fault; duplicate keys, tags and
/// keys that are not text leave the rest of the tree usable. An empty text gives a Null root.
///
/// The tree is built from yaml-cpp's events and not from its nodes, which lose duplicate keys,
/// quotes and the places of keys.
YamlDocument parse_yaml(std::string_view text, FaultList& faults);

}  // namespace nsrelay
