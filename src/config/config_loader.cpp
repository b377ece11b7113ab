#include "nsrelay/config/config_loader.hpp"

#include <unordered_map>
#include <utility>

#include "config_file.hpp"
#include "forwarding_loops.hpp"
#include "listener_conflicts.hpp"
#include "option_input.hpp"
#include "rule_draft.hpp"
#include "yaml_document.hpp"

namespace nsrelay {
namespace {

void check_names(const std::vector<RuleDraft>& drafts, FaultList& faults) {
  std::unordered_map<std::string, int> first_lines;
  for (const RuleDraft& draft : drafts) {
    if (draft.rule.name.empty())
      continue;
    const Position position = draft.node->find("name")->position;
    const auto [first, is_new] = first_lines.try_emplace(draft.rule.name, position.line);
    if (!is_new)
      faults.add(position, "duplicate rule name " + in_quotes(draft.rule.name) +
                               " (first at line " + std::to_string(first->second) + ")");
  }
}

void check_rules(const std::vector<RuleDraft>& drafts, FaultList& faults) {
  check_names(drafts, faults);
  for (const RuleDraft& draft : drafts)
    check_rule(draft, faults);
  check_listener_conflicts(drafts, faults);
  check_forwarding_loops(drafts, faults);
}

/// Fills `config` from the document; what is wrong becomes faults.
void read_document(const YamlNode& root, Config& config, FaultList& faults) {
  if (root.kind == YamlNode::Kind::Null) {
    faults.add({}, "the file is empty; at least one rule is needed under 'rules'");
    return;
  }
  RuleDraft defaults;
  std::vector<RuleDraft> drafts;
  ReadContext context{config, faults, defaults, drafts};
  read_mapping(root, OptionScope::Top, context);
  check_rules(drafts, faults);
  for (RuleDraft& draft : drafts)
    config.rules.push_back(std::move(draft.rule));
}

}  // namespace

std::string format_fault(const std::string& file, const ConfigFault& fault) {
  std::string out = file;
  if (fault.line > 0)
    out.append(":")
        .append(std::to_string(fault.line))
        .append(":")
        .append(std::to_string(fault.column));
  return out.append(": error: ").append(fault.what);
}

ConfigOutcome load_config(const std::string& file) {
  auto text = read_config_file(file);
  if (!text)
    return std::vector{ConfigFault{0, 0, text.error().message()}};
  return parse_config(*text, file);
}

ConfigOutcome parse_config(std::string_view text, const std::string& file) {
  FaultList faults;
  Config config;
  config.file = file;
  const YamlDocument document = parse_yaml(text, faults);
  if (document.root != nullptr)
    read_document(*document.root, config, faults);
  if (!faults.empty())
    return faults.take();
  return config;
}

}  // namespace nsrelay
