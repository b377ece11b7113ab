#pragma once

#include <vector>

#include "fault_list.hpp"
#include "rule_draft.hpp"

namespace nsrelay {

/// Finds listeners that two rules, or one rule twice, would open, as far as the text tells: same
/// protocol, address, device and port, in the same namespace. A fault names both rules and points
/// at the later one.
///
/// `*:PORT` is taken for both 0.0.0.0 and [::]. A name is also compared with the patterns of other
/// rules; two different patterns, and `default` and a name, may or may not mean one namespace:
/// that shows at run time. Takes O(n log n) for n pairs of netns and listen, and refuses a file
/// with more than kMostListenerPairs of them.
void check_listener_conflicts(const std::vector<RuleDraft>& drafts, FaultList& faults);
inline constexpr std::size_t kMostListenerPairs = 1'000'000;

}  // namespace nsrelay
