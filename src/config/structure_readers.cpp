#include "structure_readers.hpp"

#include <set>

#include "endpoint.hpp"
#include "netns_selector.hpp"
#include "value_readers.hpp"

namespace nsrelay {
namespace {

/// Reads the options of a rule or of the defaults.
void read_draft(const YamlNode& node, RuleDraft& draft, ReadContext& context) {
  context.draft = &draft;
  read_mapping(node, OptionScope::Rule, context);
  context.draft = nullptr;
  if (const YamlNode* protocol = node.find("protocol"); protocol != nullptr)
    draft.protocol_is_known = protocol->text == to_string(draft.rule.protocol);
}

void read_rule(const YamlNode& node, ReadContext& context) {
  RuleDraft& draft = context.drafts.emplace_back(context.defaults);
  draft.node = &node;
  read_draft(node, draft, context);
}

void read_target(const OptionInput& input, const YamlNode& node) {
  TargetSpec target;
  input.context.target = &target;
  if (node.kind == YamlNode::Kind::Mapping)
    read_mapping(node, OptionScope::Target, input.context);
  else if (node.kind == YamlNode::Kind::Scalar)
    read_target_address({input.option, node, input.context});
  else
    add_type_fault(input, node);
  input.context.target = nullptr;
  if (target.text.empty())
    return;
  input.context.draft->rule.upstream.targets.push_back(std::move(target));
  input.context.draft->target_positions.push_back(node.position);
}

std::uint64_t address_count(const IpNetwork& network) {
  const int free_bits = (network.address().is_v6() ? 128 : 32) - network.prefix_length();
  return free_bits >= 32 ? 1ULL << 32U : 1ULL << static_cast<unsigned>(free_bits);
}

}  // namespace

void read_defaults(const OptionInput& input) {
  read_draft(input.value, input.context.defaults, input.context);
}

void read_rules(const OptionInput& input) {
  if (input.value.kind != YamlNode::Kind::Sequence) {
    add_type_fault(input, input.value);
    return;
  }
  if (input.value.items.empty())
    add_fault(input, input.value.position, "no rule; at least one is needed");
  for (const YamlNode* item : input.value.items)
    read_rule(*item, input.context);
}

void read_netns_list(const OptionInput& input) {
  std::vector<NetnsSelector>& netns = input.context.draft->rule.netns;
  netns.clear();
  std::set<std::string_view> seen;
  for (const YamlNode* entry : text_entries(input)) {
    auto selector = parse_netns(entry->text);
    if (!selector)
      add_text_fault(input, *entry, selector.error());
    else if (!seen.insert(entry->text).second)
      add_fault(input, entry->position, in_quotes(entry->text) + " is listed twice");
    else
      netns.push_back(*std::move(selector));
  }
}

void read_listen_list(const OptionInput& input) {
  RuleDraft& draft = *input.context.draft;
  for (const YamlNode* entry : text_entries(input)) {
    auto listen = parse_listen(entry->text);
    if (!listen) {
      add_text_fault(input, *entry, listen.error());
      continue;
    }
    draft.rule.listen.push_back(*std::move(listen));
    draft.listen_positions.push_back(entry->position);
  }
}

void read_upstream(const OptionInput& input) {
  if (input.value.kind == YamlNode::Kind::Mapping)
    read_mapping(input.value, OptionScope::Upstream, input.context);
  else
    read_targets(input);
}

void read_targets(const OptionInput& input) {
  if (input.value.kind != YamlNode::Kind::Sequence) {
    read_target(input, input.value);
    return;
  }
  if (input.value.items.empty())
    add_fault(input, input.value.position, "the list is empty; at least one target is needed");
  for (const YamlNode* item : input.value.items)
    read_target(input, *item);
}

void read_target_address(const OptionInput& input) {
  const std::string* text = text_value(input);
  if (text == nullptr)
    return;
  auto target = parse_target(*text);
  if (target)
    *input.context.target = *std::move(target);
  else
    add_text_fault(input, input.value, target.error());
}

void read_source(const OptionInput& input) {
  read_texts<&UpstreamConfig::source, &IpNetwork::parse>(input);
  std::uint64_t total = 0;
  for (const IpNetwork& network : input.context.draft->rule.upstream.source)
    total += address_count(network);
  if (total > kMostSourceAddresses)
    add_fault(input, input.value.position,
              "too many addresses; allowed: at most " + std::to_string(kMostSourceAddresses) +
                  " altogether");
}

void read_per_source(const OptionInput& input) {
  PerSourceLimit& limit = input.context.draft->rule.per_source;
  limit = {};
  if (is_absent_word(input))
    return;
  read_mapping(input.value, OptionScope::PerSource, input.context);
  if (input.value.kind == YamlNode::Kind::Mapping && !input.value.find("connections") &&
      !input.value.find("rate"))
    add_fault(input, input.value.position,
              "nothing is limited; 'connections' or 'rate' is missing");
}

}  // namespace nsrelay
