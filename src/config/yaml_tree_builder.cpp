#include "yaml_tree_builder.hpp"

#include <yaml-cpp/mark.h>

#include <algorithm>

namespace nsrelay {
namespace {

Position position_of(const YAML::Mark& mark) {
  return {std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1};
}

}  // namespace

void YamlTreeBuilder::OnDocumentStart(const YAML::Mark& mark) {
  if (started_)
    throw DocumentRefused{position_of(mark), "a second YAML document is not allowed"};
  started_ = true;
}

void YamlTreeBuilder::OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) {
  YamlNode& node = make_node(YamlNode::Kind::Null, mark, anchor);
  // The mark of a value that was left out is that of whatever comes next: point at its key.
  if (!open_.empty() && open_.back().key != nullptr) {
    const Position key = open_.back().key->position;
    if (node.position.line != key.line || node.position < key)
      node.position = key;
  }
  attach(node);
}

void YamlTreeBuilder::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  const Position position = position_of(mark);
  const YamlNode* node = anchors_[anchor];
  if (node == nullptr)
    throw DocumentRefused{position, "an alias without an anchor"};
  if (std::any_of(open_.begin(), open_.end(), [&](const Open& one) { return one.node == node; }))
    throw DocumentRefused{position, "an alias may not refer to a node that contains it"};
  count(node->weight, position);
  check_depth(node->height, position);
  attach(*node);
}

void YamlTreeBuilder::OnScalar(const YAML::Mark& mark, const std::string& tag,
                               YAML::anchor_t anchor, const std::string& value) {
  YamlNode& node = make_node(YamlNode::Kind::Scalar, mark, anchor);
  node.text = value;
  node.quoted = tag == "!";
  check_tag(tag, node.position);
  if (value.find('\0') != std::string::npos)
    throw DocumentRefused{node.position, "a NUL byte is not allowed"};
  attach(node);
}

void YamlTreeBuilder::OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                                      YAML::anchor_t anchor, YAML::EmitterStyle::value /*style*/) {
  YamlNode& node = make_node(YamlNode::Kind::Sequence, mark, anchor);
  check_tag(tag, node.position);
  open_collection(node);
}

void YamlTreeBuilder::OnMapStart(const YAML::Mark& mark, const std::string& tag,
                                 YAML::anchor_t anchor, YAML::EmitterStyle::value /*style*/) {
  YamlNode& node = make_node(YamlNode::Kind::Mapping, mark, anchor);
  check_tag(tag, node.position);
  open_collection(node);
}

YamlNode& YamlTreeBuilder::make_node(YamlNode::Kind kind, const YAML::Mark& mark,
                                     YAML::anchor_t anchor) {
  count(1, position_of(mark));
  YamlNode& node = document_.nodes.emplace_back();
  node.kind = kind;
  node.position = position_of(mark);
  if (anchor != 0)
    anchors_[anchor] = &node;
  return node;
}

void YamlTreeBuilder::open_collection(YamlNode& node) {
  check_depth(1, node.position);
  open_.push_back({&node, nullptr, {}});
}

void YamlTreeBuilder::close_collection() {
  const YamlNode& node = *open_.back().node;
  open_.pop_back();
  attach(node);
}

/// Puts a finished node where the document has it.
void YamlTreeBuilder::attach(const YamlNode& node) {
  if (open_.empty()) {
    document_.root = &node;
    return;
  }
  Open& parent = open_.back();
  parent.node->height = std::max(parent.node->height, node.height + 1);
  if (parent.node->kind == YamlNode::Kind::Sequence) {
    parent.node->weight += node.weight;
    parent.node->items.push_back(&node);
  } else if (parent.key == nullptr) {
    parent.key = &node;
    counted_ -= std::min(counted_, std::uint64_t{1});  // an entry counts once, with its value
  } else {
    parent.node->weight += node.weight;
    add_entry(parent, node);
    parent.key = nullptr;
  }
}

void YamlTreeBuilder::add_entry(Open& mapping, const YamlNode& value) {
  const YamlNode& key = *mapping.key;
  if (key.kind != YamlNode::Kind::Scalar) {
    faults_.add(key.position, "a key must be plain text, not " + std::string(describe(key)) +
                                  "; quote text that begins with '[' or '{'");
    return;
  }
  const auto [first, is_new] = mapping.key_lines.try_emplace(key.text, key.position.line);
  if (is_new)
    mapping.node->entries.push_back({&key, &value});
  else
    faults_.add(key.position, "duplicate key " + in_quotes(key.text) + " (first at line " +
                                  std::to_string(first->second) + ")");
}

void YamlTreeBuilder::count(std::uint64_t nodes, Position position) {
  counted_ += nodes;
  if (counted_ > kMostNodes)
    throw DocumentRefused{position, "the file has more than " + std::to_string(kMostNodes) +
                                        " nodes after aliases are written out"};
}

void YamlTreeBuilder::check_depth(int height, Position position) const {
  if (open_.size() + static_cast<std::size_t>(height) > kDeepestNesting)
    throw DocumentRefused{position,
                          "nested deeper than " + std::to_string(kDeepestNesting) + " levels"};
}

void YamlTreeBuilder::check_tag(const std::string& tag, Position position) {
  if (tag != "?" && tag != "!" && !tag.empty())
    faults_.add(position, "YAML tags are not allowed (" + in_quotes(tag) + ")");
}

}  // namespace nsrelay
