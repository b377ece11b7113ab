#pragma once

#include <vector>

#include "fault_list.hpp"
#include "nsrelay/config/forward_rule.hpp"
#include "yaml_document.hpp"

namespace nsrelay {

/// A rule as far as it could be read, with the places that later checks point at. Only entries
/// without a fault are in `rule`, so the checks run on whatever is there.
struct RuleDraft {
  ForwardRule rule;
  /// The mapping that it was read from, owned by the document; null for the built-in defaults.
  const YamlNode* node = nullptr;
  /// False where the rule, or the defaults that it has it from, names a protocol that does not
  /// exist: then nothing can be said about what depends on it.
  bool protocol_is_known = true;
  /// One for each of rule.listen and rule.upstream.targets.
  std::vector<Position> listen_positions;
  std::vector<Position> target_positions;
};

/// "rule 'web'", or "the rule" where it has no valid name.
std::string rule_label(const RuleDraft& draft);

/// Checks what one option alone does not show: options of another protocol, lengths of ranges.
void check_rule(const RuleDraft& draft, FaultList& faults);

}  // namespace nsrelay
