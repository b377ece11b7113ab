#include "yaml_tree_builder.hpp"

#include <yaml-cpp/mark.h>

#include <algorithm>

namespace nsrelay {
namespace {

Position position_of(const YAML::Mark& mark) {
  return {std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1};
}

/// Whether the quote that `text` begins with has an end.
bool is_closed(std::string_view text) {
  const char quote = text.front();
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      if (quote == '"' || text.substr(i + 1, 1) != "'")
        return true;
      ++i;  // two of them stand for one
    }
  }
  return false;
}

std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  return text.starts_with(kMark) ? text.substr(kMark.size()) : text;
}

}  // namespace

YamlTreeBuilder::YamlTreeBuilder(YamlDocument& document, FaultList& faults, std::string_view text)
    : document_(document), faults_(faults), rest_(without_byte_order_mark(text)) {}

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
  if (node.quoted)
    check_quotes(node.position);
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

/// yaml-cpp takes the end of a file, behind a newline, for the end of a quotation: the keys that
/// follow would be a part of it, without a word.
void YamlTreeBuilder::check_quotes(Position position) {
  const std::string_view rest = text_from(position);
  if (!rest.empty() && (rest.front() == '"' || rest.front() == '\'') && !is_closed(rest))
    throw DocumentRefused{position, "not valid YAML: the quote that begins here is never closed"};
}

/// What is at `position` and behind it. Scalars come in order: it goes on from the line before.
std::string_view YamlTreeBuilder::text_from(Position position) {
  for (; line_ < position.line; ++line_)
    rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size() - 1) + 1);
  return rest_.substr(std::min(static_cast<std::size_t>(position.column - 1), rest_.size()));
}

}  // namespace nsrelay
