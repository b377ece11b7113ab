#pragma once

#include <memory>

#include "nsrelay/relay/listener.hpp"
#include "nsrelay/relay/relay_context.hpp"
#include "nsrelay/relay/rule_runtime.hpp"

namespace nsrelay {

/// What all connections of one listener have in common: where their clients came in, by which rule
/// they are served, and where they go. It does not change: a reload, or another name of the
/// namespace, gives the listener a new one for the clients to come.
struct RelayRoute {
  RelayContext& context;  ///< borrowed
  RuleRuntime& runtime;   ///< borrowed
  std::shared_ptr<UpstreamPool> pool;
  std::shared_ptr<const ListenerInfo> listener;
};

}  // namespace nsrelay
