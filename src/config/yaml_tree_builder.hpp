#pragma once

#include <yaml-cpp/eventhandler.h>

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "yaml_document.hpp"

namespace nsrelay {

/// Thrown by the builder through yaml-cpp's parser when a document is refused as a whole. Never
/// leaves parse_yaml().
struct DocumentRefused {
  Position position;
  std::string what;
};

/// Receives the events of a YAML document and makes the tree. Borrows the document, the list of
/// faults, and the text that is parsed. Throws DocumentRefused when a limit is exceeded.
class YamlTreeBuilder final : public YAML::EventHandler {
 public:
  YamlTreeBuilder(YamlDocument& document, FaultList& faults, std::string_view text);

  void OnDocumentStart(const YAML::Mark& mark) override;
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override;
  void OnSequenceEnd() override { close_collection(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override;
  void OnMapEnd() override { close_collection(); }

 private:
  /// A collection whose end has not come yet.
  struct Open {
    YamlNode* node;
    const YamlNode* key = nullptr;  // of a mapping: read, waits for its value
    std::unordered_map<std::string_view, int> key_lines;
  };

  YamlNode& make_node(YamlNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor);
  void open_collection(YamlNode& node);
  void close_collection();
  void attach(const YamlNode& node);
  void add_entry(Open& mapping, const YamlNode& value);
  void count(std::uint64_t nodes, Position position);
  void check_depth(int height, Position position) const;
  void check_tag(const std::string& tag, Position position);
  void check_quotes(Position position);
  std::string_view text_from(Position position);

  YamlDocument& document_;
  FaultList& faults_;
  std::string_view rest_;  // of the text, from line_ on
  int line_ = 1;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, const YamlNode*> anchors_;
  std::uint64_t counted_ = 0;
  bool started_ = false;
};

}  // namespace nsrelay
