#include "nsrelay/upstream/balancer.hpp"

#include <algorithm>
#include <cmath>

#include "nsrelay/base/hash.hpp"

namespace nsrelay {
namespace {

constexpr int kGroups = 4;

bool was_tried(const TriedTargets& tried, std::size_t index) {
  return !tried.empty() && tried[index];
}

/// 0 for those that come first.
int group_of(const TargetState& target, TimePoint now) {
  return (target.health.is_usable(now) ? 0 : 2) + (target.spec.backup ? 1 : 0);
}

/// Whether `one` has fewer connections per weight than `other`; exact, without division.
bool is_less_loaded(const TargetState& one, const TargetState& other) {
  return std::uint64_t{one.active} * other.spec.weight <
         std::uint64_t{other.active} * one.spec.weight;
}

double rendezvous_score(const TargetState& target, const IpAddress& client) {
  constexpr double kSteps = 9007199254740992.0;  // 2^53: every one of them is a double
  const std::uint64_t hash = mix(target.hash, client);
  const double uniform = (static_cast<double>(hash >> 11U) + 0.5) / kSteps;  // between 0 and 1
  return -static_cast<double>(target.spec.weight) / std::log(uniform);
}

/// One choice among the targets that `is_eligible` admits.
template <class Eligible>
std::optional<std::size_t> round_robin(std::span<TargetState> targets, Eligible is_eligible) {
  std::optional<std::size_t> richest;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (!is_eligible(i))
      continue;
    targets[i].round_robin_credit += targets[i].spec.weight;
    total += targets[i].spec.weight;
    if (!richest || targets[i].round_robin_credit > targets[*richest].round_robin_credit)
      richest = i;
  }
  if (richest)
    targets[*richest].round_robin_credit -= total;
  return richest;
}

template <class Eligible>
std::optional<std::size_t> least_connections(std::span<TargetState> targets, Eligible is_eligible) {
  std::optional<std::size_t> least;
  for (std::size_t i = 0; i < targets.size(); ++i)
    if (is_eligible(i) && (!least || is_less_loaded(targets[i], targets[*least])))
      least = i;
  if (!least)
    return least;
  return round_robin(targets, [&](std::size_t i) {
    return is_eligible(i) && !is_less_loaded(targets[*least], targets[i]);
  });
}

template <class Eligible>
std::optional<std::size_t> source_hash(std::span<TargetState> targets, Eligible is_eligible,
                                       const IpAddress& client) {
  std::optional<std::size_t> best;
  double best_score = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const double score = is_eligible(i) ? rendezvous_score(targets[i], client) : 0;
    if (score <= best_score)
      continue;
    best = i;
    best_score = score;
  }
  return best;
}

}  // namespace

std::optional<std::size_t> choose_target(Balance balance, std::span<TargetState> targets,
                                         const TriedTargets& tried, const IpAddress& client,
                                         TimePoint now) {
  int group = kGroups;
  for (std::size_t i = 0; i < targets.size(); ++i)
    if (!was_tried(tried, i))
      group = std::min(group, group_of(targets[i], now));
  const auto is_eligible = [&](std::size_t i) {
    return !was_tried(tried, i) && group_of(targets[i], now) == group;
  };
  switch (balance) {
    case Balance::RoundRobin:
      break;
    case Balance::LeastConnections:
      return least_connections(targets, is_eligible);
    case Balance::SourceHash:
      return source_hash(targets, is_eligible, client);
  }
  return round_robin(targets, is_eligible);
}

}  // namespace nsrelay
