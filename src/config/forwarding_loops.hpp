#pragma once

#include <vector>

#include "fault_list.hpp"
#include "rule_draft.hpp"

namespace nsrelay {

/// Finds rules whose traffic comes back to themselves, directly or through other rules, as far as
/// the text tells: a target that is the address and port of a listener in the namespace that it is
/// connected from. A wildcard listener is met by loopback addresses only: which others are local is
/// not known here. Each loop is one fault, which names its rules.
void check_forwarding_loops(const std::vector<RuleDraft>& drafts, FaultList& faults);

}  // namespace nsrelay
