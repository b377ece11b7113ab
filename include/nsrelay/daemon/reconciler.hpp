#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "nsrelay/config/config.hpp"
#include "nsrelay/daemon/drain_scope.hpp"
#include "nsrelay/daemon/drainer.hpp"
#include "nsrelay/daemon/listener_plan.hpp"
#include "nsrelay/daemon/listener_store.hpp"
#include "nsrelay/daemon/rule_runtimes.hpp"
#include "nsrelay/event/coalesced_call.hpp"
#include "nsrelay/netns/netns_registry.hpp"
#include "nsrelay/netns/route_monitor.hpp"
#include "nsrelay/relay/listener.hpp"
#include "nsrelay/relay/relay_context.hpp"
#include "nsrelay/telemetry/traffic_table.hpp"

namespace nsrelay {

/// Makes the listeners that are open equal to those that the configuration asks for.
///
/// Whatever happens (start, a reload, a namespace that came or went) changes an input and calls
/// reconcile(), which is idempotent; for a change of namespaces with what has changed, which leads
/// to the same as for all of them and costs as much as has changed. What cannot be opened is
/// pending, with its reason, and is tried again by retry() and when an address or interface appears
/// in its namespace; its reason is logged when it changes. Opening is done in slices, so that
/// thousands of namespaces that appear together do not hold up traffic.
class Reconciler {
 public:
  /// Borrows all but `config`; they must outlive it.
  Reconciler(RelayContext& context, NetnsRegistry& registry, Drainer& drainer, ListenerStore& store,
             std::shared_ptr<const Config> config);
  Reconciler(const Reconciler&) = delete;
  Reconciler& operator=(const Reconciler&) = delete;
  ~Reconciler();

  void reconcile() noexcept;

  /// The same, restricted to what is different in the registry.
  void reconcile(const NetnsChanges& changes) noexcept;

  /// Tries again to open what is pending.
  void retry();

  /// What a reload did to the listeners.
  struct Changes {
    std::size_t opened = 0;  ///< new ones, pending ones included
    std::size_t closed = 0;
    std::size_t changed = 0;  ///< that stay, under another version of their rule
  };

  /// Puts `config` in force. Listeners that stay keep their socket, and connections go on under the
  /// rule that they began with; those of rules that are gone drain.
  Changes replace_config(std::shared_ptr<const Config> config);

  /// Serves who waits in the backlogs of the listeners in `scope`, closes them and keeps them
  /// closed until the next replace_config(). A namespace that is made again under its name is
  /// another one. Returns how many it closed; nothing where no listener is wanted there.
  std::optional<std::size_t> drain(const DrainScope& scope);

  /// One listener that is wanted.
  struct ListenerView {
    const DesiredListener& wanted;
    bool is_open;
    bool is_drained;
    const std::string& reason;  ///< why it is not open
  };
  void for_each_listener(const std::function<void(const ListenerView&)>& visit) const;

  /// Calls `visit` with every pool of targets.
  template <class Visit>
  void for_each_pool(Visit visit) const {
    rules_.for_each_pool(visit);
  }

  /// Calls `visit` with every pool of targets of the rule `name`.
  template <class Visit>
  void for_each_pool(const std::string& name, Visit visit) const {
    rules_.for_each_pool(name, visit);
  }

  /// Does now what reconcile() has put off to later iterations of the loop.
  void finish();

  /// Closes every listener. Who waits in a backlog is served before, unless the store keeps the
  /// socket for a successor.
  void close_all();

  /// A listener that is closed. What was accepted there and still runs shares its description.
  struct ClosedListener {
    TrafficKey key;
    std::weak_ptr<const ListenerInfo> info;
  };
  [[nodiscard]] const std::vector<ClosedListener>& closed_listeners() const { return closed_; }

  [[nodiscard]] std::size_t listening() const { return managed_.size() - pending_.size(); }
  [[nodiscard]] std::size_t pending() const { return pending_.size(); }

 private:
  struct Managed {
    DesiredListener wanted;
    std::unique_ptr<Listener> listener;  ///< absent while pending
    std::string reason;                  ///< why it is pending
    bool in_line = false;                ///< in to_open_
    /// Indices of the interfaces that the socket is bound to by name.
    std::map<std::string, std::uint32_t> interfaces;
    RuleRuntime* runtime = nullptr;  ///< what the listener works for
    /// Held while its namespace is there, so that counters stay when the listener closes for a
    /// while.
    std::shared_ptr<TrafficCounters> traffic;
  };

  using Plan = std::map<ListenerKey, DesiredListener>;

  Changes reconcile_all(std::string_view why_closed);
  Changes put_in_force(Plan desired, const ListenerDiff& difference, std::string_view why_closed);
  [[nodiscard]] std::vector<ListenerKey> keys_in(const std::set<NetnsIdentity>& identities) const;
  void tidy() noexcept;
  void on_route_change(std::uint64_t cookie) noexcept;
  void on_routes() noexcept;
  void look_at_routes_of(std::uint64_t cookie);
  void close_if_interface_changed(Managed& managed);
  void follow_interfaces(Managed& managed);
  void want_open(Managed& managed);
  void update(Managed& managed, DesiredListener wanted, Changes& changes);
  void reopen(Managed& managed, const RuleRuntime& after);
  void begin_to_open();
  void open_slice() noexcept;
  void remember_as_closed(const Managed& managed);
  void close(const ListenerKey& key, std::string_view reason);
  void close_drained(Managed& managed);
  [[nodiscard]] bool is_drained(const DesiredListener& wanted) const;
  void open(Managed& managed);
  Result<std::unique_ptr<Listener>> try_to_open(const DesiredListener& wanted);
  UniqueFd take_inherited(const DesiredListener& wanted);
  Result<std::unique_ptr<Listener>> try_to_open_or_wait_for_route(const DesiredListener& wanted);
  std::shared_ptr<TrafficCounters> traffic_of(const DesiredListener& wanted);
  std::shared_ptr<const ListenerInfo> make_info(const DesiredListener& wanted);
  void log(const LogEvent& event, LogLevel level, const DesiredListener& listener,
           std::string_view reason);

  RelayContext& context_;
  NetnsRegistry& registry_;
  ListenerStore& store_;
  std::shared_ptr<const Config> config_;
  RuleRuntimes rules_;
  std::map<ListenerKey, Managed> managed_;
  std::vector<DrainScope> drained_;
  std::set<ListenerKey> pending_;
  /// Until nothing runs any more that was accepted there.
  std::vector<ClosedListener> closed_;
  std::deque<ListenerKey> to_open_;
  DeferredCall next_slice_;
  CoalescedCall routes_changed_;
  CoalescedCall tidy_;
  std::set<std::uint64_t> changed_routes_;  // cookies; 0: all
  std::unique_ptr<RouteMonitor> routes_;    ///< absent where the kernel or our privileges say no
};

}  // namespace nsrelay
