#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "nsrelay/base/ip_address.hpp"
#include "nsrelay/upstream/target_state.hpp"

namespace nsrelay {

/// Which targets a connection has tried already; empty as long as it has tried none.
using TriedTargets = std::vector<bool>;

/// The index of the target that a connection of `client` tries next; nothing when it has tried all.
///
/// Of the targets that it has not tried, those come first that are no backup and usable, then
/// usable backups, then those that are out, backups last: nobody is refused while a target is left
/// that might answer. Among the first of these groups that is not empty:
///
/// * round_robin: smooth weighted round robin, as nginx has it. Each gains its weight, the richest
///   is chosen and pays the sum. Weights 5, 1, 1 give a a b a c a a.
/// * least_connections: the fewest connections per weight; in turn among equals.
/// * source_hash: weighted rendezvous hashing (Thaler and Ravishankar 1998; weights by -w/ln h).
///   Each client has a score with each target and takes the highest, so that a target that goes
///   moves its own clients only, evenly, and they come back when it does.
///
/// Changes nothing but the credits of round robin.
std::optional<std::size_t> choose_target(Balance balance, std::span<TargetState> targets,
                                         const TriedTargets& tried, const IpAddress& client,
                                         TimePoint now);

}  // namespace nsrelay
