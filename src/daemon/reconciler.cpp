#include "nsrelay/daemon/reconciler.hpp"

#include <algorithm>

#include "nsrelay/base/scope_exit.hpp"
#include "nsrelay/relay/listener_factory.hpp"
#include "nsrelay/relay/listening_socket.hpp"

namespace nsrelay {
namespace {

constexpr int kOpensPerSlice = 64;
constexpr auto kRouteInterval = std::chrono::milliseconds(5);

/// Whether a listener could not be opened for want of an address or an interface.
bool waits_for_route(int error) {
  return error == EADDRNOTAVAIL || error == ENODEV;
}

template <class Map>
std::vector<ListenerKey> keys_of(const Map& map) {
  std::vector<ListenerKey> keys;
  keys.reserve(map.size());
  for (const auto& [key, value] : map)
    keys.push_back(key);
  return keys;
}

std::shared_ptr<const ListenerInfo> make_info(const DesiredListener& wanted) {
  return std::make_shared<const ListenerInfo>(
      ListenerInfo{wanted.netns->name, wanted.key.cookie,
                   describe_listener(*wanted.listen, wanted.port), wanted.port_offset});
}

}  // namespace

Reconciler::Reconciler(RelayContext& context, NetnsRegistry& registry,
                       std::shared_ptr<const Config> config)
    : context_(context),
      registry_(registry),
      config_(std::move(config)),
      next_slice_(context.loop(), Delegate<void()>::to<&Reconciler::open_slice>(this)),
      appeared_(context.loop(), kRouteInterval,
                Delegate<void()>::to<&Reconciler::reconcile>(this)) {
  if (auto routes = RouteMonitor::create(context.loop(),
                                         Delegate<void()>::to<&CoalescedCall::request>(&appeared_)))
    routes_ = *std::move(routes);
}

Reconciler::~Reconciler() = default;

void Reconciler::reconcile() noexcept {
  std::map<ListenerKey, DesiredListener> desired;
  for (DesiredListener& wanted :
       expand(*config_, [this](const NetnsSelector& one) { return registry_.find(one); }))
    desired.emplace(ListenerKey(wanted.key), std::move(wanted));
  const ListenerDiff changes = diff(keys_of(managed_), keys_of(desired));
  for (const ListenerKey& key : changes.close)
    close(key);
  if (!changes.close.empty())
    for (auto& [rule, runtime] : runtimes_)
      runtime->prune_pools();
  to_open_.clear();
  for (auto& [key, wanted] : desired) {
    Managed& managed = managed_[key];
    managed.wanted = std::move(wanted);
    if (managed.listener)
      rename(managed);
    else
      to_open_.push_back(key);
  }
  open_slice();
}

void Reconciler::open_slice() noexcept {
  for (int i = 0; i < kOpensPerSlice && !to_open_.empty(); ++i) {
    if (const auto found = managed_.find(to_open_.front()); found != managed_.end())
      open(found->second);
    to_open_.pop_front();
  }
  if (!to_open_.empty())
    next_slice_.schedule();
}

void Reconciler::finish() {
  while (!to_open_.empty())
    open_slice();
}

void Reconciler::close(const ListenerKey& key) {
  const auto found = managed_.find(key);
  if (found->second.listener)
    log(log_event::kListenerClosed, LogLevel::Info, found->second.wanted, "netns_deleted");
  managed_.erase(found);
}

void Reconciler::open(Managed& managed) {
  auto opened = try_to_open_or_wait_for_route(managed.wanted);
  if (opened) {
    managed.listener = *std::move(opened);
    managed.reason.clear();
    log(log_event::kListenerOpen, LogLevel::Info, managed.wanted, "");
  } else if (managed.reason != opened.error().message()) {
    managed.reason = opened.error().message();
    log(log_event::kListenerPending, LogLevel::Warn, managed.wanted, managed.reason);
  }
}

/// An address or interface that is missing will be heard of; it may have come just before.
Result<std::unique_ptr<Listener>> Reconciler::try_to_open_or_wait_for_route(
    const DesiredListener& wanted) {
  auto opened = try_to_open(wanted);
  if (opened || !routes_ || !wanted.netns->netns || !waits_for_route(opened.error().number()) ||
      !routes_->include(*wanted.netns->netns))
    return opened;
  return try_to_open(wanted);
}

Result<std::unique_ptr<Listener>> Reconciler::try_to_open(const DesiredListener& wanted) {
  if (wanted.taken_by != nullptr)
    return Error("the same listener as rule \"" + wanted.taken_by->name + "\"");
  if (!wanted.netns->netns)
    return Error("namespace absent: " + wanted.netns->why_absent);
  const ScopeExit park([&] { wanted.netns->netns->park(); });
  RuleRuntime& runtime = runtime_of(*wanted.rule);
  return open_listener(context_, runtime, pool_of(runtime, wanted.netns), make_info(wanted),
                       {*wanted.listen, wanted.port, *wanted.netns->netns});
}

void Reconciler::rename(Managed& managed) {
  if (managed.listener->info().netns != managed.wanted.netns->name)
    managed.listener->rename(make_info(managed.wanted));
}

void Reconciler::close_all() {
  for (auto& [key, managed] : managed_) {
    if (!managed.listener)
      continue;
    managed.listener->serve_backlog();
    managed.listener.reset();
    log(log_event::kListenerClosed, LogLevel::Info, managed.wanted, "stopping");
  }
  managed_.clear();
  to_open_.clear();
  next_slice_.cancel();
  appeared_.cancel();
  routes_.reset();
}

std::size_t Reconciler::listening() const {
  return static_cast<std::size_t>(
      std::count_if(managed_.begin(), managed_.end(),
                    [](const auto& one) { return one.second.listener != nullptr; }));
}

RuleRuntime& Reconciler::runtime_of(const ForwardRule& rule) {
  auto& runtime = runtimes_[&rule];
  if (!runtime)
    runtime = std::make_unique<RuleRuntime>(config_, rule);
  return *runtime;
}

std::shared_ptr<UpstreamPool> Reconciler::pool_of(RuleRuntime& runtime,
                                                  const NetnsRef& listener_netns) {
  const ForwardRule& rule = runtime.rule();
  return runtime.pool_for(*listener_netns, [&] {
    const bool same = rule.upstream.netns.kind == NetnsSelector::Kind::Same;
    const NetnsRef from = same ? listener_netns : registry_.get(rule.upstream.netns);
    return std::make_shared<UpstreamPool>(context_.loop(), rule, from, listener_netns->name);
  });
}

void Reconciler::log(const LogEvent& event, LogLevel level, const DesiredListener& listener,
                     std::string_view reason) {
  const std::string address = describe_listener(*listener.listen, listener.port);
  context_.log().write({.level = level,
                        .event = event,
                        .rule = listener.rule->name,
                        .netns = listener.netns->name,
                        .protocol = to_string(listener.rule->protocol),
                        .listener = address,
                        .reason = reason});
}

}  // namespace nsrelay
