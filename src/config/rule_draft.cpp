#include "rule_draft.hpp"

#include <algorithm>

#include "nsrelay/config/option_table.hpp"

namespace nsrelay {
namespace {

/// The value at `upstream.KEY`, or null.
const YamlNode* find_in_upstream(const RuleDraft& draft, std::string_view key) {
  const YamlNode* upstream = draft.node->find("upstream");
  return upstream == nullptr ? nullptr : upstream->find(key);
}

void check_protocol_of_options(const RuleDraft& draft, FaultList& faults) {
  for (const auto& [key, value] : draft.node->entries) {
    const Option* option = find_option(OptionScope::Rule, key->text);
    if (option != nullptr && (option->protocols & protocol_bit(draft.rule.protocol)) == 0)
      faults.add(key->position, std::string(option->key) + ": only for protocol " +
                                    describe_protocols(option->protocols));
  }
  const YamlNode* proxy = find_in_upstream(draft, "proxy_protocol");
  if (proxy != nullptr && draft.rule.protocol != Protocol::Tcp &&
      draft.rule.upstream.proxy_protocol != ProxyProtocol::None)
    faults.add(proxy->position, "upstream.proxy_protocol: only for protocol tcp");
  const YamlNode* health = find_in_upstream(draft, "health");
  if (health != nullptr && draft.rule.protocol == Protocol::Udp &&
      draft.rule.upstream.health.interval)
    faults.add(health->position, "upstream.health: only for protocol tcp, sctp");
}

void check_protocol_of_addresses(const RuleDraft& draft, FaultList& faults) {
  constexpr std::string_view kSeveral = "several addresses (A+B:PORT) are only for protocol sctp";
  const ForwardRule& rule = draft.rule;
  for (std::size_t i = 0; i < rule.listen.size(); ++i)
    if (rule.listen[i].addresses.size() > 1 && rule.protocol != Protocol::Sctp)
      faults.add(draft.listen_positions[i], "listen: " + std::string(kSeveral));
  for (std::size_t i = 0; i < rule.upstream.targets.size(); ++i) {
    const TargetSpec& target = rule.upstream.targets[i];
    if (target.addresses.size() > 1 && rule.protocol != Protocol::Sctp)
      faults.add(draft.target_positions[i], "upstream: " + std::string(kSeveral));
    if (target.kind == TargetSpec::Kind::UnixPath && rule.protocol != Protocol::Tcp)
      faults.add(draft.target_positions[i], "upstream: a Unix socket is only for protocol tcp");
  }
}

/// A target of a family that `source` has no address of could never be connected to. Which
/// addresses a name has is not known here.
void check_families_of_source(const RuleDraft& draft, FaultList& faults) {
  const UpstreamConfig& upstream = draft.rule.upstream;
  for (std::size_t i = 0; i < upstream.targets.size() && !upstream.source.empty(); ++i) {
    const TargetSpec& target = upstream.targets[i];
    if (target.kind != TargetSpec::Kind::Address)
      continue;
    const bool v6 = target.addresses.front().address.is_v6();
    if (std::none_of(upstream.source.begin(), upstream.source.end(),
                     [&](const IpNetwork& one) { return one.address().is_v6() == v6; }))
      faults.add(draft.target_positions[i], std::string("upstream: 'source' has no IPv") +
                                                (v6 ? '6' : '4') +
                                                " address to connect from to this target");
  }
}

/// A `listen` whose length is not `size`, or null.
const ListenSpec* find_other_size(const ForwardRule& rule, int size) {
  const auto other = std::find_if(rule.listen.begin(), rule.listen.end(),
                                  [&](const ListenSpec& one) { return one.ports.size() != size; });
  return other == rule.listen.end() ? nullptr : &*other;
}

std::string describe(PortRange ports) {
  return std::to_string(ports.first) + "-" + std::to_string(ports.last);
}

/// With ranges on both sides port maps to port, so each listen must be as long as each target.
void check_ranges(const RuleDraft& draft, FaultList& faults) {
  const auto& targets = draft.rule.upstream.targets;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const int size = targets[i].ports.size();
    if (targets[i].kind == TargetSpec::Kind::UnixPath || size == 1)
      continue;
    const ListenSpec* other = find_other_size(draft.rule, size);
    if (other != nullptr)
      faults.add(draft.target_positions[i],
                 "upstream: the " + std::to_string(size) + " ports " + describe(targets[i].ports) +
                     " do not match the " + std::to_string(other->ports.size()) +
                     " of listen; allowed: a range of that length or one port");
  }
}

}  // namespace

std::string rule_label(const RuleDraft& draft) {
  return draft.rule.name.empty() ? "the rule" : "rule " + in_quotes(draft.rule.name);
}

void check_rule(const RuleDraft& draft, FaultList& faults) {
  check_ranges(draft, faults);
  check_families_of_source(draft, faults);
  if (!draft.protocol_is_known)
    return;
  check_protocol_of_options(draft, faults);
  check_protocol_of_addresses(draft, faults);
}

}  // namespace nsrelay
