#include <algorithm>

#include "option_input.hpp"
#include "suggestion.hpp"

namespace nsrelay {
namespace {

bool is_allowed_here(const Option& option, OptionScope scope, const ReadContext& context) {
  return option.scope == scope &&
         (scope != OptionScope::Rule || option.in_defaults || !context.in_defaults());
}

std::vector<std::string_view> allowed_keys(OptionScope scope, const ReadContext& context) {
  std::vector<std::string_view> keys;
  for (const Option& option : option_table())
    if (is_allowed_here(option, scope, context))
      keys.push_back(option.key);
  return keys;
}

/// Another mapping that has an option `key`, a rule before all others; or null.
const Option* find_elsewhere(std::string_view key) {
  if (const Option* in_rule = find_option(OptionScope::Rule, key); in_rule != nullptr)
    return in_rule;
  const auto table = option_table();
  const auto option =
      std::find_if(table.begin(), table.end(), [&](const Option& one) { return one.key == key; });
  return option == table.end() ? nullptr : &*option;
}

std::string describe_unknown(std::string_view key, std::string_view near,
                             const std::vector<std::string_view>& keys) {
  const std::string unknown = "unknown key " + in_quotes(key);
  if (key == "<<")
    return unknown + "; merge keys are not supported, 'defaults' holds what rules share";
  if (!near.empty())
    return unknown + "; did you mean " + in_quotes(near) + "?";
  if (const Option* elsewhere = find_elsewhere(key); elsewhere != nullptr)
    return unknown + "; it belongs in " + std::string(scope_name(elsewhere->scope));
  return unknown + "; allowed: " + join(keys);
}

/// Checks the keys of a mapping. Returns the keys that unknown ones were probably meant to be.
std::vector<std::string_view> check_keys(const YamlNode& mapping, OptionScope scope,
                                         ReadContext& context) {
  const auto keys = allowed_keys(scope, context);
  std::vector<std::string_view> meant;
  for (const auto& [key, value] : mapping.entries) {
    const Option* option = find_option(scope, key->text);
    if (option != nullptr && is_allowed_here(*option, scope, context))
      continue;
    if (option != nullptr) {
      context.faults.add(key->position, in_quotes(key->text) + " is not allowed in 'defaults'");
      continue;
    }
    const std::string_view near = closest(key->text, keys);
    context.faults.add(key->position, describe_unknown(key->text, near, keys));
    if (!near.empty())
      meant.push_back(near);
  }
  return meant;
}

void read_option(const OptionInput& input) {
  if (input.value.kind == YamlNode::Kind::Null) {
    add_fault(input, input.value.position,
              "the value is missing; expected " + describe_values(input.option.values));
    return;
  }
  input.option.read(input);
}

std::string describe_missing(const Option& option, const ReadContext& context) {
  const std::string owner = option.scope == OptionScope::Rule ? rule_label(*context.draft) + ": "
                            : option.scope == OptionScope::Top
                                ? ""
                                : std::string(scope_name(option.scope)) + ": ";
  return owner + "the key " + in_quotes(option.key) + " is missing";
}

}  // namespace

void add_fault(const OptionInput& input, Position position, const std::string& what) {
  input.context.faults.add(position, option_path(input.option) + ": " + what);
}

void add_type_fault(const OptionInput& input, const YamlNode& value) {
  const std::string found =
      value.kind == YamlNode::Kind::Scalar ? in_quotes(value.text) : std::string(describe(value));
  add_fault(input, value.position,
            "expected " + describe_values(input.option.values) + ", not " + found);
}

void read_mapping(const YamlNode& mapping, OptionScope scope, ReadContext& context) {
  if (mapping.kind != YamlNode::Kind::Mapping) {
    context.faults.add(mapping.position, std::string(scope_name(scope)) +
                                             ": expected a mapping, not " +
                                             std::string(describe(mapping)));
    return;
  }
  const auto meant = check_keys(mapping, scope, context);
  for (const Option& option : option_table()) {
    if (!is_allowed_here(option, scope, context))
      continue;
    const YamlNode* value = mapping.find(option.key);
    if (value != nullptr)
      read_option({option, *value, context});
    else if (option.is_required() &&
             std::find(meant.begin(), meant.end(), option.key) == meant.end())
      context.faults.add(mapping.position, describe_missing(option, context));
  }
}

}  // namespace nsrelay
