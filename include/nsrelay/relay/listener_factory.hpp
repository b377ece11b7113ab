#pragma once

#include <cstdint>
#include <memory>

#include "nsrelay/base/result.hpp"
#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/netns/netns.hpp"
#include "nsrelay/relay/listener.hpp"
#include "nsrelay/relay/relay_context.hpp"
#include "nsrelay/relay/rule_runtime.hpp"

namespace nsrelay {

/// Where a listener is to be opened.
struct ListenerPlace {
  const ListenSpec& listen;
  std::uint16_t port;
  const Netns& netns;
};

/// Opens a listener of the rule's protocol and starts serving. Borrows `context` and `runtime`.
/// With `inherited`, a socket that is_listening_socket() takes for the right one, it makes none
/// itself. The error says why it cannot be opened now, e.g. `bind: Address already in use`.
Result<std::unique_ptr<Listener>> open_listener(RelayContext& context, RuleRuntime& runtime,
                                                std::shared_ptr<UpstreamPool> pool,
                                                std::shared_ptr<const ListenerInfo> info,
                                                const ListenerPlace& place,
                                                UniqueFd inherited = {});

}  // namespace nsrelay
