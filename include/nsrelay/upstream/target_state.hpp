#pragma once

#include <cstdint>
#include <string>

#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/upstream/target_health.hpp"

namespace nsrelay {

class UpstreamPool;

/// One target of a pool at work. Others than the pool only look.
struct TargetState {
  TargetSpec spec;   ///< with `{netns}` replaced
  std::string text;  ///< as written, with `{netns}` replaced: `app.example:80`
  UpstreamPool* pool = nullptr;
  TargetHealth health{false};
  std::uint32_t active = 0;  ///< connections and sessions to it, those being made included
  std::int64_t round_robin_credit = 0;  ///< see Balancer
  std::uint64_t hash = 0;               ///< of `text`, see Balancer
  std::uint32_t address_turn = 0;       ///< which address of its name is first in turn
};

}  // namespace nsrelay
