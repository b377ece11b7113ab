#include "nsrelay/daemon/reconciler.hpp"

#include <algorithm>
#include <utility>

#include "nsrelay/base/scope_exit.hpp"
#include "nsrelay/netns/netns_scope.hpp"
#include "nsrelay/relay/inherited_socket.hpp"
#include "nsrelay/relay/listener_factory.hpp"
#include "nsrelay/relay/listening_socket.hpp"

namespace nsrelay {
namespace {

/// Opening goes on until an iteration has lasted so long; a few are opened however long it was.
constexpr auto kSliceTime = std::chrono::milliseconds(2);
constexpr int kFewestPerSlice = 8;
constexpr int kMostPerSlice = 64;
constexpr const char* kDrained = "drained; a reload opens it again";
constexpr auto kRouteInterval = std::chrono::milliseconds(5);
constexpr auto kTidyInterval = std::chrono::milliseconds(100);

/// Whether a listener could not be opened for want of an address or an interface.
bool waits_for_route(int error) {
  return error == EADDRNOTAVAIL || error == ENODEV;
}

std::map<ListenerKey, DesiredListener> plan_of(std::vector<DesiredListener> listeners) {
  std::map<ListenerKey, DesiredListener> plan;
  for (DesiredListener& one : listeners)
    plan.emplace(ListenerKey(one.key), std::move(one));
  return plan;
}

/// The interfaces that a listener is bound to by name, with their indices; 0: it is not there.
std::map<std::string, std::uint32_t> interfaces_of(const DesiredListener& wanted) {
  std::map<std::string, std::uint32_t> interfaces;
  if (!wanted.rule->bind_device.empty())
    interfaces[wanted.rule->bind_device] = 0;
  for (const ZonedAddress& address : wanted.listen->addresses)
    if (!address.zone.empty())
      interfaces[address.zone] = 0;
  const ScopeExit park([&] { wanted.netns->netns->park(); });
  for (auto& [name, index] : interfaces)
    if (const auto found = interface_index_in(*wanted.netns->netns, name))
      index = *found;
  return interfaces;
}

template <class Map>
std::vector<ListenerKey> keys_of(const Map& map) {
  std::vector<ListenerKey> keys;
  keys.reserve(map.size());
  for (const auto& [key, value] : map)
    keys.push_back(key);
  return keys;
}

std::set<std::string> names_of(const std::vector<ForwardRule>& rules) {
  std::set<std::string> names;
  for (const ForwardRule& rule : rules)
    names.insert(rule.name);
  return names;
}

TrafficKey key_of(const DesiredListener& wanted) {
  return {wanted.rule->name, wanted.netns->name, wanted.rule->protocol};
}

}  // namespace

Reconciler::Reconciler(RelayContext& context, NetnsRegistry& registry, Drainer& drainer,
                       ListenerStore& store, std::shared_ptr<const Config> config)
    : context_(context),
      registry_(registry),
      store_(store),
      config_(std::move(config)),
      rules_(context, registry, drainer),
      next_slice_(context.loop(), Delegate<void()>::to<&Reconciler::open_slice>(this)),
      routes_changed_(context.loop(), kRouteInterval,
                      Delegate<void()>::to<&Reconciler::on_routes>(this)),
      tidy_(context.loop(), kTidyInterval, Delegate<void()>::to<&Reconciler::tidy>(this)) {
  if (auto routes = RouteMonitor::create(
          context.loop(), RouteMonitor::Callback::to<&Reconciler::on_route_change>(this)))
    routes_ = *std::move(routes);
  rules_.adopt(*config_);
}

Reconciler::~Reconciler() = default;

void Reconciler::reconcile() noexcept {
  reconcile_all("netns_deleted");
}

void Reconciler::reconcile(const NetnsChanges& changes) noexcept {
  Plan desired = plan_of(expand_among(*config_, registry_.entries_of(changes.identities)));
  const ListenerDiff difference = diff(keys_in(changes.identities), keys_of(desired));
  put_in_force(std::move(desired), difference, "netns_deleted");
  for (const std::uint64_t cookie : changes.gone)
    if (routes_)
      routes_->forget(cookie);
  tidy_.request();
}

void Reconciler::retry() {
  for (const ListenerKey& key : pending_)
    want_open(managed_.at(key));
  begin_to_open();
}

Reconciler::Changes Reconciler::replace_config(std::shared_ptr<const Config> config) {
  const std::shared_ptr<const Config> former = std::exchange(config_, std::move(config));
  // What was drained opens as if it were new.
  std::erase_if(managed_, [this](const auto& one) {
    const bool drained = is_drained(one.second.wanted);
    if (drained)
      pending_.erase(one.first);
    return drained;
  });
  drained_.clear();
  rules_.adopt(*config_);
  registry_.forget_all_but(rules_.selectors());
  const Changes changes = reconcile_all("reload");
  rules_.drain_gone();
  context_.traffic().forget_rules_but(names_of(config_->rules));
  return changes;
}

Reconciler::Changes Reconciler::reconcile_all(std::string_view why_closed) {
  Plan desired =
      plan_of(expand(*config_, [this](const NetnsSelector& one) { return registry_.find(one); }));
  const ListenerDiff difference = diff(keys_of(managed_), keys_of(desired));
  const Changes changes = put_in_force(std::move(desired), difference, why_closed);
  tidy();
  return changes;
}

/// What is managed in some namespaces, or waits for absent ones.
std::vector<ListenerKey> Reconciler::keys_in(const std::set<NetnsIdentity>& identities) const {
  std::vector<ListenerKey> keys;
  for (const NetnsIdentity& one : identities)
    for (auto managed = managed_.lower_bound({.cookie = one.cookie, .absent_netns = one.absent});
         managed != managed_.end() && managed->first.cookie == one.cookie &&
         managed->first.absent_netns == one.absent;
         ++managed)
      keys.push_back(managed->first);
  return keys;
}

Reconciler::Changes Reconciler::put_in_force(Plan desired, const ListenerDiff& difference,
                                             std::string_view why_closed) {
  for (const ListenerKey& key : difference.close)
    close(key, why_closed);
  Changes changes{difference.open.size(), difference.close.size(), 0};
  for (auto& [key, wanted] : desired)
    update(managed_[key], std::move(wanted), changes);
  begin_to_open();
  return changes;
}

/// Lets go of what nobody uses any more.
void Reconciler::tidy() noexcept {
  if (rules_.tidy())
    registry_.forget_all_but(rules_.selectors());
  std::erase_if(closed_, [](const ClosedListener& one) { return one.info.expired(); });
  context_.traffic().prune();
}

std::shared_ptr<TrafficCounters> Reconciler::traffic_of(const DesiredListener& wanted) {
  return context_.traffic().counters_of(key_of(wanted));
}

std::shared_ptr<const ListenerInfo> Reconciler::make_info(const DesiredListener& wanted) {
  return std::make_shared<const ListenerInfo>(ListenerInfo{wanted.netns->name, wanted.key.cookie,
                                                           wanted.key.address, wanted.port_offset,
                                                           traffic_of(wanted)});
}

void Reconciler::update(Managed& managed, DesiredListener wanted, Changes& changes) {
  const bool has_other_name = managed.wanted.netns != wanted.netns;
  managed.wanted = std::move(wanted);
  RuleRuntime& runtime = rules_.of(*managed.wanted.rule);
  const bool is_other = managed.runtime != nullptr && managed.runtime != &runtime;
  changes.changed += is_other ? 1 : 0;
  if (managed.listener && (is_other || has_other_name) &&
      !managed.listener->adopt(runtime, rules_.pool_of(runtime, managed.wanted.netns)))
    reopen(managed, runtime);
  managed.runtime = &runtime;
  // A namespace that is there has counters from the first; an absent one leaves none behind.
  managed.traffic = managed.wanted.netns->netns ? traffic_of(managed.wanted) : nullptr;
  if (managed.listener && (is_other || has_other_name))
    managed.listener->rename(make_info(managed.wanted));
  if (!managed.listener)
    want_open(managed);
}

void Reconciler::want_open(Managed& managed) {
  pending_.insert(managed.wanted.key);
  if (!std::exchange(managed.in_line, true))
    to_open_.push_back(managed.wanted.key);
}

/// The new socket opens before the old one closes, where both can have the port at once.
void Reconciler::reopen(Managed& managed, const RuleRuntime& after) {
  std::unique_ptr<Listener> former = std::move(managed.listener);
  former->serve_backlog();
  store_.forget(managed.wanted.key);
  if (!managed.runtime->rule().reuse_port || !after.rule().reuse_port)
    former.reset();
  open(managed);
  if (former)
    former->serve_backlog();
}

/// What waits in line already is opened first, a slice in each iteration.
void Reconciler::begin_to_open() {
  if (!next_slice_.is_scheduled())
    open_slice();
}

void Reconciler::open_slice() noexcept {
  for (int i = 0; i < kMostPerSlice && !to_open_.empty(); ++i) {
    if (i >= kFewestPerSlice && context_.loop().spent() > kSliceTime)
      break;
    const auto found = managed_.find(to_open_.front());
    to_open_.pop_front();
    if (found == managed_.end())
      continue;
    found->second.in_line = false;
    if (!found->second.listener)
      open(found->second);
  }
  if (!to_open_.empty())
    next_slice_.schedule();
}

void Reconciler::finish() {
  while (!to_open_.empty())
    open_slice();
}

void Reconciler::close(const ListenerKey& key, std::string_view reason) {
  const auto found = managed_.find(key);
  pending_.erase(key);
  store_.forget(key);
  remember_as_closed(found->second);
  const bool was_open = std::exchange(found->second.listener, nullptr) != nullptr;
  if (was_open)
    log(log_event::kListenerClosed, LogLevel::Info, found->second.wanted, reason);
  managed_.erase(found);
}

void Reconciler::open(Managed& managed) {
  auto opened = try_to_open_or_wait_for_route(managed.wanted);
  if (opened) {
    pending_.erase(managed.wanted.key);
    managed.listener = *std::move(opened);
    managed.reason.clear();
    follow_interfaces(managed);
    store_.keep(managed.wanted.key, managed.listener->descriptor());
    log(log_event::kListenerOpen, LogLevel::Info, managed.wanted, "");
    return;
  }
  pending_.insert(managed.wanted.key);
  store_.forget(managed.wanted.key);  // one that was inherited and does not fit: it is closed here
  if (managed.reason != opened.error().message()) {
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
  if (is_drained(wanted))
    return Error(kDrained);
  if (!wanted.netns->netns)
    return Error("namespace absent: " + wanted.netns->why_absent);
  const ScopeExit park([&] { wanted.netns->netns->park(); });
  RuleRuntime& runtime = rules_.of(*wanted.rule);
  return open_listener(context_, runtime, rules_.pool_of(runtime, wanted.netns), make_info(wanted),
                       {*wanted.listen, wanted.port, *wanted.netns->netns}, take_inherited(wanted));
}

UniqueFd Reconciler::take_inherited(const DesiredListener& wanted) {
  return store_.take(wanted.key, [&](int fd, bool is_named) {
    return is_listening_socket(fd, *wanted.rule, *wanted.listen, wanted.port, *wanted.netns->netns,
                               is_named);
  });
}

void Reconciler::close_all() {
  for (auto& [key, managed] : managed_) {
    if (!managed.listener)
      continue;
    if (store_.keeps())
      managed.listener->hand_over();
    else
      managed.listener->serve_backlog();
    remember_as_closed(managed);
    managed.listener.reset();
    log(log_event::kListenerClosed, LogLevel::Info, managed.wanted, "stopping");
  }
  managed_.clear();
  pending_.clear();
  to_open_.clear();
  next_slice_.cancel();
  routes_changed_.cancel();
  routes_.reset();
}

std::optional<std::size_t> Reconciler::drain(const DrainScope& scope) {
  std::size_t closed = 0;
  bool is_known = false;
  for (auto& [key, managed] : managed_) {
    if (!scope.covers(managed.wanted.rule->name, key.cookie))
      continue;
    is_known = true;
    closed += managed.listener ? 1 : 0;
    close_drained(managed);
  }
  if (!is_known)
    return std::nullopt;
  drained_.push_back(scope);
  return closed;
}

void Reconciler::close_drained(Managed& managed) {
  managed.reason = kDrained;
  if (!managed.listener)
    return;
  managed.listener->serve_backlog();
  store_.forget(managed.wanted.key);
  remember_as_closed(managed);
  managed.listener.reset();
  pending_.insert(managed.wanted.key);
  log(log_event::kListenerClosed, LogLevel::Info, managed.wanted, to_string(Reason::Drained));
}

bool Reconciler::is_drained(const DesiredListener& wanted) const {
  return std::any_of(drained_.begin(), drained_.end(), [&](const DrainScope& scope) {
    return scope.covers(wanted.rule->name, wanted.key.cookie);
  });
}

void Reconciler::for_each_listener(const std::function<void(const ListenerView&)>& visit) const {
  for (const auto& [key, managed] : managed_)
    visit(
        {managed.wanted, managed.listener != nullptr, is_drained(managed.wanted), managed.reason});
}

void Reconciler::on_route_change(std::uint64_t cookie) noexcept {
  changed_routes_.insert(cookie);
  routes_changed_.request();
}

void Reconciler::on_routes() noexcept {
  std::set<std::uint64_t> cookies = std::exchange(changed_routes_, {});
  if (cookies.contains(0))
    for (const auto& [key, managed] : managed_)
      cookies.insert(key.cookie);
  cookies.erase(0);
  for (const std::uint64_t cookie : cookies)
    look_at_routes_of(cookie);
  begin_to_open();
}

void Reconciler::look_at_routes_of(std::uint64_t cookie) {
  for (auto one = managed_.lower_bound({.cookie = cookie});
       one != managed_.end() && one->first.cookie == cookie; ++one) {
    close_if_interface_changed(one->second);
    if (!one->second.listener)
      want_open(one->second);
  }
}

/// A socket is bound to the index of an interface: one that is made again under the same name is
/// another.
void Reconciler::close_if_interface_changed(Managed& managed) {
  if (!managed.listener || managed.interfaces.empty() ||
      managed.interfaces == interfaces_of(managed.wanted))
    return;
  store_.forget(managed.wanted.key);
  managed.listener->serve_backlog();
  remember_as_closed(managed);
  managed.listener.reset();
  log(log_event::kListenerClosed, LogLevel::Info, managed.wanted, "interface_changed");
}

/// Where a socket is bound to interfaces by name, changes of these have to be heard of.
void Reconciler::follow_interfaces(Managed& managed) {
  managed.interfaces = interfaces_of(managed.wanted);
  if (routes_ && !managed.interfaces.empty())
    (void)routes_->include(*managed.wanted.netns->netns);
}

void Reconciler::remember_as_closed(const Managed& managed) {
  if (managed.listener)
    closed_.push_back({key_of(managed.wanted), managed.listener->shared_info()});
}

void Reconciler::log(const LogEvent& event, LogLevel level, const DesiredListener& listener,
                     std::string_view reason) {
  context_.log().write({.level = level,
                        .event = event,
                        .rule = listener.rule->name,
                        .netns = listener.netns->name,
                        .protocol = to_string(listener.rule->protocol),
                        .listener = listener.key.address,
                        .reason = reason});
}

}  // namespace nsrelay
