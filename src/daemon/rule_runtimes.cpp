#include "nsrelay/daemon/rule_runtimes.hpp"

#include <utility>

namespace nsrelay {

void RuleRuntimes::adopt(const Config& config) {
  auto former = std::exchange(current_, {});
  for (const ForwardRule& rule : config.rules) {
    const auto known = former.find(rule.name);
    if (known != former.end() && known->second->rule() == rule) {
      current_.insert(former.extract(known));
      continue;
    }
    current_.emplace(rule.name, std::make_unique<RuleRuntime>(rule));
  }
  for (auto& [name, runtime] : former) {
    runtime->retire();
    former_.push_back(std::move(runtime));
  }
}

void RuleRuntimes::drain_gone() {
  for (const auto& one : former_)
    if (!current_.contains(one->rule().name))
      drainer_.drain(*one);
  forget_idle();
}

bool RuleRuntimes::tidy() {
  const auto tidy = [](RuleRuntime& runtime) {
    runtime.prune_pools();
    runtime.leave_gone_netns();
  };
  for (const auto& [name, runtime] : current_)
    tidy(*runtime);
  for (const auto& runtime : former_)
    tidy(*runtime);
  return forget_idle();
}

std::vector<NetnsSelector> RuleRuntimes::selectors() const {
  std::vector<NetnsSelector> selectors;
  const auto add = [&](const ForwardRule& rule) {
    selectors.insert(selectors.end(), rule.netns.begin(), rule.netns.end());
    selectors.push_back(rule.upstream.netns);
  };
  for (const auto& [name, runtime] : current_)
    add(runtime->rule());
  for (const auto& runtime : former_)
    if (runtime->active() > 0)
      add(runtime->rule());
  return selectors;
}

bool RuleRuntimes::forget_idle() {
  const std::size_t forgotten = std::erase_if(former_, [this](const auto& one) {
    if (one->active() == 0)
      drainer_.forget(*one);
    return one->active() == 0;
  });
  return forgotten > 0;
}

std::shared_ptr<UpstreamPool> RuleRuntimes::pool_of(RuleRuntime& runtime,
                                                    const NetnsRef& listener_netns) {
  const ForwardRule& rule = runtime.rule();
  return runtime.pool_for(*listener_netns, [&] {
    const bool same = rule.upstream.netns.kind == NetnsSelector::Kind::Same;
    const NetnsRef from = same ? listener_netns : registry_.get(rule.upstream.netns);
    return std::make_shared<UpstreamPool>(
        context_.loop(), rule, from, listener_netns->name,
        UpstreamPool::OnChange::to<&RuleRuntimes::on_target_change>(this));
  });
}

void RuleRuntimes::on_target_change(const TargetState& target) noexcept {
  const bool is_up = target.health.is_up();
  context_.log().write({.level = is_up ? LogLevel::Info : LogLevel::Warn,
                        .event = is_up ? log_event::kUpstreamUp : log_event::kUpstreamDown,
                        .rule = target.pool->rule_name(),
                        .protocol = to_string(target.pool->protocol()),
                        .upstream = target.text,
                        .more = {{"upstream_netns", target.pool->netns().name},
                                 {"failures", std::to_string(target.health.failures_total())}}});
}

}  // namespace nsrelay
