#include "nsrelay/daemon/reconciler.hpp"

#include <algorithm>
#include <set>

#include "nsrelay/relay/listening_socket.hpp"

namespace nsrelay {
namespace {

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
    : context_(context), registry_(registry), config_(std::move(config)) {}

Reconciler::~Reconciler() = default;

void Reconciler::reconcile() {
  std::map<ListenerKey, DesiredListener> desired;
  for (DesiredListener& wanted : expand(*config_, [this](const NetnsSelector& one) -> NetnsEntry& {
         return registry_.get(one);
       }))
    desired.emplace(ListenerKey(wanted.key), std::move(wanted));
  const ListenerDiff changes = diff(keys_of(managed_), keys_of(desired));
  for (const ListenerKey& key : changes.close) {
    close(managed_[key]);
    managed_.erase(key);
  }
  for (auto& [key, wanted] : desired) {
    Managed& managed = managed_[key];
    // The rule that had it lost its name of the namespace, and another one comes next.
    if (managed.wanted.rule != wanted.rule)
      close(managed);
    const bool has_other_name = managed.wanted.netns != wanted.netns;
    managed.wanted = std::move(wanted);
    if (!managed.listener)
      open(managed);
    else if (has_other_name)
      rename(managed);
  }
}

void Reconciler::close(Managed& managed) {
  if (!managed.listener)
    return;
  managed.listener.reset();
  log(log_event::kListenerClosed, LogLevel::Info, managed.wanted, "netns_deleted");
}

void Reconciler::open(Managed& managed) {
  auto opened = try_to_open(managed.wanted);
  if (opened) {
    managed.listener = *std::move(opened);
    managed.reason.clear();
    log(log_event::kListenerOpen, LogLevel::Info, managed.wanted, "");
  } else if (managed.reason != opened.error().message()) {
    managed.reason = opened.error().message();
    log(log_event::kListenerPending, LogLevel::Warn, managed.wanted, managed.reason);
  }
}

Result<std::unique_ptr<TcpListener>> Reconciler::try_to_open(const DesiredListener& wanted) {
  if (wanted.taken_by != nullptr)
    return Error("the same listener as rule \"" + wanted.taken_by->name + "\"");
  if (!wanted.netns->netns)
    return Error("namespace absent: " + wanted.netns->why_absent);
  auto socket =
      open_tcp_listening_socket(*wanted.rule, *wanted.listen, wanted.port, *wanted.netns->netns);
  if (!socket)
    return std::move(socket).error();
  RuleRuntime& runtime = runtime_of(*wanted.rule);
  return TcpListener::create(context_, runtime, pool_of(runtime, *wanted.netns), make_info(wanted),
                             *std::move(socket));
}

void Reconciler::rename(Managed& managed) {
  RuleRuntime& runtime = runtime_of(*managed.wanted.rule);
  managed.listener->rename(make_info(managed.wanted), pool_of(runtime, *managed.wanted.netns));
}

void Reconciler::close_all() {
  for (auto& [key, managed] : managed_) {
    if (!managed.listener)
      continue;
    managed.listener->accept_backlog();
    managed.listener.reset();
    log(log_event::kListenerClosed, LogLevel::Info, managed.wanted, "stopping");
  }
  managed_.clear();
}

void Reconciler::end_orphans() {
  const std::set<std::uint64_t> present = registry_.present_cookies();
  const auto is_gone = [&](std::uint64_t cookie) {
    return cookie != 0 && !present.contains(cookie);
  };
  context_.connections().for_each([&](TcpConnection& connection) {
    if (is_gone(connection.listener().cookie) || is_gone(connection.upstream_cookie()))
      connection.end(Reason::NetnsDeleted);
  });
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

UpstreamPool& Reconciler::pool_of(RuleRuntime& runtime, const NetnsEntry& listener_netns) {
  const ForwardRule& rule = runtime.rule();
  return runtime.pool_for(listener_netns, [&] {
    const bool same = rule.upstream.netns.kind == NetnsSelector::Kind::Same;
    const NetnsEntry& from = same ? listener_netns : registry_.get(rule.upstream.netns);
    return std::make_unique<UpstreamPool>(context_.loop(), rule, from, listener_netns.name);
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
