#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/net/socket_address.hpp"

namespace nsrelay {

/// `{netns}` in `text` replaced by a namespace's name.
std::string expand_netns(std::string_view text, std::string_view netns);

/// Whether any target of the rule contains `{netns}`, so that each namespace has its own.
bool depends_on_netns(const UpstreamConfig& upstream);

/// The port of `target` for a listener that is `port_offset` behind the first port of its range.
std::uint16_t port_of(const TargetSpec& target, std::uint16_t port_offset);

/// How a target is called in the log: `10.0.0.5:80`, `app.example:80`, `unix:/run/app.sock`.
std::string describe(const TargetSpec& target, std::uint16_t port_offset);

}  // namespace nsrelay
