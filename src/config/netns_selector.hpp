#pragma once

#include <string>
#include <string_view>

#include "nsrelay/base/result.hpp"
#include "nsrelay/config/forward_rule.hpp"

namespace nsrelay {

/// Reads one entry of a rule's `netns`: every form but `same`. Looks at nothing but the text.
Result<NetnsSelector> parse_netns(std::string_view text);

/// Reads `upstream.netns`: one namespace, so no pattern, but also `same`.
Result<NetnsSelector> parse_upstream_netns(std::string_view text);

/// One text for all spellings of a namespace: `ns1` is /run/netns/ns1, and /var/run is /run.
std::string canonical_text(const NetnsSelector& selector);

}  // namespace nsrelay
