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

  /// The namespaces with these cookies are gone. Every connection is looked at, in slices that
  /// begin in this call and go on in the next iterations of the loop.
  void end_orphans(const std::set<std::uint64_t>& gone);

  /// Ends what runs under `runtime` when the drain is over. forget() it before it is destroyed.
  void drain(const RuleRuntime& runtime);
  void forget(const RuleRuntime& runtime) { rules_.erase(&runtime); }

  void set_patience(Duration patience) { patience_ = patience; }

 private:
  void begin_walk();
  void walk_on() noexcept;
  void look_at(Forwarded& one);
  void look_at_lingering();
  void note_use(std::uint64_t cookie, OnNetnsDelete policy);
  void on_deadline() noexcept;
  void start_timer();

  EventLoop& loop_;
  RelayContext& context_;
  Duration patience_;
  /// What is gone, as far as something may still be forwarded there: cookies.
  std::set<std::uint64_t> gone_;
  std::set<std::uint64_t> still_used_;  ///< of those, what the walk has met in use
  std::size_t place_ = 0;               ///< of the walk in the table, from the end to 0
  bool again_ = false;                  ///< more are gone since the walk began
  DeferredCall next_slice_;
  std::map<std::uint64_t, TimePoint> namespaces_;  // by cookie
  std::map<const RuleRuntime*, TimePoint> rules_;
  Timer timer_;
};

}  // namespace nsrelay
