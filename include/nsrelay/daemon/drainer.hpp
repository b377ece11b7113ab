#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "nsrelay/event/event_loop.hpp"
#include "nsrelay/relay/relay_context.hpp"

namespace nsrelay {

/// Ends what is forwarded under rules that are gone, when a drain is over, and what is forwarded to
/// or from namespaces that are gone, as `on_netns_delete` of its rule says: at once, when a drain
/// is over, or never.
class Drainer {
 public:
  /// Borrows `context`. `patience` is how long a drain may take.
  Drainer(RelayContext& context, Duration patience);
  Drainer(const Drainer&) = delete;
  Drainer& operator=(const Drainer&) = delete;

  /// `present`: the identities of the namespaces that some name means now. Costs a look at every
  /// connection; to be called when one is gone.
  void end_orphans(const std::set<std::uint64_t>& present);

  /// Ends what runs under `runtime` when the drain is over. forget() it before it is destroyed.
  void drain(const RuleRuntime& runtime);
  void forget(const RuleRuntime& runtime) { rules_.erase(&runtime); }

  void set_patience(Duration patience) { patience_ = patience; }

 private:
  void on_deadline() noexcept;
  void start_timer();

  EventLoop& loop_;
  RelayContext& context_;
  Duration patience_;
  std::map<std::uint64_t, TimePoint> namespaces_;  // by cookie
  std::map<const RuleRuntime*, TimePoint> rules_;
  Timer timer_;
};

}  // namespace nsrelay
