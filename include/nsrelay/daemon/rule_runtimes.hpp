#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nsrelay/config/config.hpp"
#include "nsrelay/daemon/drainer.hpp"
#include "nsrelay/netns/netns_registry.hpp"
#include "nsrelay/relay/relay_context.hpp"
#include "nsrelay/relay/rule_runtime.hpp"

namespace nsrelay {

/// The rules at work: one RuleRuntime for each rule of the configuration in force, and those of
/// rules that changed or are gone for as long as something runs under them.
class RuleRuntimes {
 public:
  /// Borrows all; they must outlive it.
  RuleRuntimes(RelayContext& context, NetnsRegistry& registry, Drainer& drainer)
      : context_(context), registry_(registry), drainer_(drainer) {}
  RuleRuntimes(const RuleRuntimes&) = delete;
  RuleRuntimes& operator=(const RuleRuntimes&) = delete;

  /// Works by the rules of `config` from now on. One that is as it was keeps its runtime, with
  /// whose turn it is and what it counted.
  void adopt(const Config& config);

  /// What runs under rules that are gone drains. Those that nothing runs under go.
  void drain_gone();

  /// Lets go of what nobody uses any more: pools, and the runtimes of former rules. Returns whether
  /// one of these went.
  bool tidy();

  /// Every namespace that a rule speaks of, former ones under which something runs included.
  [[nodiscard]] std::vector<NetnsSelector> selectors() const;

  /// Of a rule of the configuration in force.
  RuleRuntime& of(const ForwardRule& rule) { return *current_.find(rule.name)->second; }

  /// The targets of a rule for the listeners of one namespace.
  std::shared_ptr<UpstreamPool> pool_of(RuleRuntime& runtime, const NetnsRef& listener_netns);

  /// Calls `visit` with every pool of targets.
  template <class Visit>
  void for_each_pool(Visit visit) const {
    for (const auto& [name, runtime] : current_)
      runtime->for_each_pool(visit);
  }

  /// Calls `visit` with every pool of targets of the rule `name`.
  template <class Visit>
  void for_each_pool(const std::string& name, Visit visit) const {
    if (const auto found = current_.find(name); found != current_.end())
      found->second->for_each_pool(visit);
  }

 private:
  bool forget_idle();
  void on_target_change(const TargetState& target) noexcept;

  RelayContext& context_;
  NetnsRegistry& registry_;
  Drainer& drainer_;
  std::map<std::string, std::unique_ptr<RuleRuntime>, std::less<>> current_;  // by rule
  std::vector<std::unique_ptr<RuleRuntime>> former_;
};

}  // namespace nsrelay
