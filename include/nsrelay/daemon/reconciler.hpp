#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nsrelay/config/config.hpp"
#include "nsrelay/daemon/listener_plan.hpp"
#include "nsrelay/netns/netns_registry.hpp"
#include "nsrelay/relay/relay_context.hpp"
#include "nsrelay/relay/rule_runtime.hpp"
#include "nsrelay/relay/tcp_listener.hpp"

namespace nsrelay {

/// Makes the listeners that are open equal to those that the configuration asks for.
///
/// Whatever happens (start, a namespace that came or went, a retry) changes an input and calls
/// reconcile(), which is idempotent. What cannot be opened is pending, with its reason, and is
/// tried again by every later call; its reason is logged when it changes.
class Reconciler {
 public:
  /// Borrows `context` and `registry`, which must outlive it.
  Reconciler(RelayContext& context, NetnsRegistry& registry, std::shared_ptr<const Config> config);
  Reconciler(const Reconciler&) = delete;
  Reconciler& operator=(const Reconciler&) = delete;
  ~Reconciler();

  void reconcile();

  /// Serves who waits in the backlogs, then closes every listener for good.
  void close_all();

  /// Ends the connections that touch a namespace which no name means any more.
  void end_orphans();

  [[nodiscard]] std::size_t listening() const;
  [[nodiscard]] std::size_t pending() const { return managed_.size() - listening(); }

 private:
  struct Managed {
    DesiredListener wanted;
    std::unique_ptr<TcpListener> listener;  ///< absent while pending
    std::string reason;                     ///< why it is pending
  };

  void close(Managed& managed);
  void open(Managed& managed);
  Result<std::unique_ptr<TcpListener>> try_to_open(const DesiredListener& wanted);
  void rename(Managed& managed);
  RuleRuntime& runtime_of(const ForwardRule& rule);
  UpstreamPool& pool_of(RuleRuntime& runtime, const NetnsEntry& listener_netns);
  void log(const LogEvent& event, LogLevel level, const DesiredListener& listener,
           std::string_view reason);

  RelayContext& context_;
  NetnsRegistry& registry_;
  std::shared_ptr<const Config> config_;
  std::map<const ForwardRule*, std::unique_ptr<RuleRuntime>> runtimes_;
  std::map<ListenerKey, Managed> managed_;
};

}  // namespace nsrelay
