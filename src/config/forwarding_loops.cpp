#include "forwarding_loops.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "netns_selector.hpp"

namespace nsrelay {
namespace {

/// Longer chains of rules are not followed.
constexpr std::size_t kLongest = 2000;

/// One port of one `listen` entry in one of the namespaces of a rule.
struct Door {
  std::size_t rule;
  std::size_t netns;
  std::size_t listen;
  std::uint16_t port;

  friend auto operator<=>(const Door&, const Door&) = default;
};

/// Where a target leads.
struct Destination {
  Protocol protocol;
  std::string netns;
  IpAddress address;
  std::uint16_t port;
};

bool is_loopback(const IpAddress& address) {
  constexpr std::uint8_t kLoopbackNet = 127;
  if (!address.is_v6())
    return address.bytes()[0] == kLoopbackNet;
  return address == IpAddress(in6addr_loopback);
}

bool is_met_by(const ListenSpec& listen, const IpAddress& address) {
  return std::any_of(listen.addresses.begin(), listen.addresses.end(), [&](const auto& one) {
    const bool same_family = listen.dual_stack || one.address.is_v6() == address.is_v6();
    return one.address == address || (one.address.is_any() && same_family && is_loopback(address));
  });
}

class LoopFinder {
 public:
  LoopFinder(const std::vector<RuleDraft>& drafts, FaultList& faults)
      : drafts_(drafts), faults_(faults) {
    for (std::size_t rule = 0; rule < drafts.size(); ++rule)
      for (std::size_t netns = 0; netns < rule_at(rule).netns.size(); ++netns)
        doors_in_[canonical_text(rule_at(rule).netns[netns])].emplace_back(rule, netns);
  }

  void run() {
    for (std::size_t rule = 0; rule < drafts_.size(); ++rule)
      for (std::size_t netns = 0; netns < rule_at(rule).netns.size(); ++netns)
        for (std::size_t listen = 0; listen < rule_at(rule).listen.size(); ++listen)
          walk_range({rule, netns, listen, 0});
  }

 private:
  [[nodiscard]] const ForwardRule& rule_at(std::size_t index) const { return drafts_[index].rule; }

  /// A target without a range makes all ports of a listener alike.
  void walk_range(Door door) {
    const ForwardRule& rule = rule_at(door.rule);
    const PortRange ports = rule.listen[door.listen].ports;
    const bool alike = std::none_of(rule.upstream.targets.begin(), rule.upstream.targets.end(),
                                    [](const TargetSpec& one) { return one.ports.size() > 1; });
    for (int port = ports.first; port <= (alike ? ports.first : ports.last); ++port) {
      door.port = static_cast<std::uint16_t>(port);
      walk(door);
    }
  }

  void walk(const Door& door) {
    if (budget_ == 0 || path_.size() >= kLongest || !seen_.insert(door).second)
      return;
    --budget_;
    path_.push_back(door);
    const auto& targets = rule_at(door.rule).upstream.targets;
    for (std::size_t target = 0; target < targets.size(); ++target)
      if (const auto destination = destination_of(door, targets[target]))
        follow(door, *destination, target);
    path_.pop_back();
  }

  void follow(const Door& door, const Destination& destination, std::size_t target) {
    const auto there = doors_in_.find(destination.netns);
    if (there == doors_in_.end())
      return;
    for (const auto& [rule, netns] : there->second) {
      for (std::size_t listen = 0; listen < rule_at(rule).listen.size(); ++listen) {
        const Door next{rule, netns, listen, destination.port};
        if (!leads_to(destination, next))
          continue;
        if (const auto start = std::find(path_.begin(), path_.end(), next); start != path_.end())
          report(door, target, destination, start - path_.begin());
        else
          walk(next);
      }
    }
  }

  [[nodiscard]] bool leads_to(const Destination& destination, const Door& door) const {
    const ForwardRule& rule = rule_at(door.rule);
    const ListenSpec& listen = rule.listen[door.listen];
    return rule.protocol == destination.protocol && rule.bind_device.empty() &&
           listen.ports.first <= destination.port && destination.port <= listen.ports.last &&
           is_met_by(listen, destination.address);
  }

  [[nodiscard]] std::optional<Destination> destination_of(const Door& door,
                                                          const TargetSpec& target) const {
    if (target.kind != TargetSpec::Kind::Address || target.addresses.empty())
      return std::nullopt;
    const ForwardRule& rule = rule_at(door.rule);
    const bool same = rule.upstream.netns.kind == NetnsSelector::Kind::Same;
    const int offset =
        target.ports.size() > 1 ? door.port - rule.listen[door.listen].ports.first : 0;
    return Destination{
        rule.protocol, canonical_text(same ? rule.netns[door.netns] : rule.upstream.netns),
        target.addresses.front().address, static_cast<std::uint16_t>(target.ports.first + offset)};
  }

  void report(const Door& door, std::size_t target, const Destination& destination,
              std::ptrdiff_t start) {
    std::set<std::size_t> rules;
    std::string chain;
    for (auto step = path_.begin() + start; step != path_.end(); ++step) {
      rules.insert(step->rule);
      chain.append(rule_label(drafts_[step->rule])).append(" -> ");
    }
    if (!reported_.insert(std::move(rules)).second)
      return;
    const std::size_t first = path_[static_cast<std::size_t>(start)].rule;
    faults_.add(drafts_[door.rule].target_positions[target],
                "upstream: forwarding loop: " + chain + rule_label(drafts_[first]) + " (" +
                    destination.address.to_string() + " port " + std::to_string(destination.port) +
                    " is a listener of the latter)");
  }

  const std::vector<RuleDraft>& drafts_;
  FaultList& faults_;
  /// By the text of a namespace: (rule, netns) that listen there.
  std::map<std::string, std::vector<std::pair<std::size_t, std::size_t>>> doors_in_;
  std::vector<Door> path_;
  std::set<Door> seen_;
  std::set<std::set<std::size_t>> reported_;
  /// Only a file made to be slow uses it up.
  std::size_t budget_ = 200'000;
};

}  // namespace

void check_forwarding_loops(const std::vector<RuleDraft>& drafts, FaultList& faults) {
  LoopFinder(drafts, faults).run();
}

}  // namespace nsrelay
