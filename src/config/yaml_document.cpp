#include "yaml_document.hpp"

#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>

#include "text_check.hpp"
#include "yaml_tree_builder.hpp"

namespace nsrelay {
namespace {

/// What is probably behind an error of the parser, whose own words are for people who know YAML's
/// grammar. `*:8000` without quotes is the commonest slip: YAML reads an alias.
struct Hint {
  std::string_view message;
  std::string_view hint;
};

constexpr std::string_view kStar =
    "; text that begins with '*' must be quoted, for example \"*:8000\" or \"*\"";
constexpr std::string_view kIndentation =
    "; check the indentation, and quote text that begins with '[' or '{'";
constexpr std::string_view kBrackets = "; check the brackets, and quote text that holds one";

const Hint kHints[] = {
    {YAML::ErrorMsg::UNKNOWN_ANCHOR, kStar},     {YAML::ErrorMsg::ALIAS_NOT_FOUND, kStar},
    {YAML::ErrorMsg::CHAR_IN_ALIAS, kStar},      {YAML::ErrorMsg::END_OF_MAP, kIndentation},
    {YAML::ErrorMsg::END_OF_SEQ, kIndentation},  {YAML::ErrorMsg::END_OF_MAP_FLOW, kBrackets},
    {YAML::ErrorMsg::END_OF_SEQ_FLOW, kBrackets}};

Position position_of(const YAML::ParserException& exception) {
  const bool behind_star = exception.msg == YAML::ErrorMsg::ALIAS_NOT_FOUND;
  return {std::max(exception.mark.line, 0) + 1,
          std::max(exception.mark.column + (behind_star ? 0 : 1), 1)};
}

std::string describe(const YAML::ParserException& exception) {
  std::string what = "not valid YAML: " + exception.msg;
  for (const auto& [message, hint] : kHints)
    if (exception.msg == message)
      what.append(hint);
  return what;
}

void build(std::string_view text, YamlTreeBuilder& builder) {
  std::istringstream stream{std::string(text)};
  YAML::Parser parser(stream);
  if (parser.HandleNextDocument(builder))
    parser.HandleNextDocument(builder);  // the builder refuses a second one
}

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  const auto entry = std::find_if(entries.begin(), entries.end(),
                                  [&](const Entry& one) { return one.key->text == key; });
  return entry == entries.end() ? nullptr : entry->value;
}

std::string_view describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::Null:
      return "nothing";
    case YamlNode::Kind::Scalar:
      return "text";
    case YamlNode::Kind::Sequence:
      return "a list";
    case YamlNode::Kind::Mapping:
      return "a mapping";
  }
  return "";
}

YamlDocument parse_yaml(std::string_view text, FaultList& faults) {
  YamlDocument document;
  if (!check_text(text, faults))
    return document;
  YamlTreeBuilder builder(document, faults, text);
  try {
    build(text, builder);
    if (document.root == nullptr)
      document.root = &document.nodes.emplace_back();
    return document;
  } catch (const DocumentRefused& refused) {
    faults.add(refused.position, refused.what);
  } catch (const YAML::ParserException& exception) {
    faults.add(position_of(exception), describe(exception));
  } catch (const YAML::Exception& exception) {
    faults.add({}, "not valid YAML: " + exception.msg);
  }
  document.root = nullptr;
  return document;
}

}  // namespace nsrelay
