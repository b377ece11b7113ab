#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "nsrelay/telemetry/traffic_counters.hpp"

namespace nsrelay {

class RuleRuntime;
class UpstreamPool;

/// What a connection remembers of the listener that accepted it; the listener may be gone.
struct ListenerInfo {
  std::string netns;         ///< the name in logs
  std::uint64_t cookie = 0;  ///< the namespace's identity
  std::string address;       ///< `0.0.0.0:8000`
  std::uint16_t port_offset = 0;
  /// Where what is forwarded for its clients is counted; never null.
  std::shared_ptr<TrafficCounters> traffic = std::make_shared<TrafficCounters>();
};

/// One bound socket that clients come to, of whatever protocol. Closes when destroyed.
class Listener {
 public:
  explicit Listener(std::shared_ptr<const ListenerInfo> info) : info_(std::move(info)) {}
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  virtual ~Listener() = default;

  /// Serves who has completed the kernel's part of coming in already, so that closing refuses as
  /// few as can be.
  virtual void serve_backlog() {}

  /// The bound socket; borrowed.
  [[nodiscard]] virtual int descriptor() const = 0;

  /// Somebody else keeps the socket open and serves it from now on: what waits in it is theirs, so
  /// it is not read any more. What was forwarded through it before goes on.
  virtual void hand_over() {}

  /// New clients belong to another version of the rule from now on: `runtime` is borrowed, `pool`
  /// is where they go. The socket stays, and takes over the options that an open one can. Returns
  /// false where the new version needs a socket that is made anew; nothing has changed then.
  virtual bool adopt(RuleRuntime& runtime, std::shared_ptr<UpstreamPool> pool) = 0;

  [[nodiscard]] const ListenerInfo& info() const { return *info_; }
  [[nodiscard]] const std::shared_ptr<const ListenerInfo>& shared_info() const { return info_; }

  /// What connections remember from now on: the namespace is called by another of its names.
  void rename(std::shared_ptr<const ListenerInfo> info) { info_ = std::move(info); }

 private:
  std::shared_ptr<const ListenerInfo> info_;
};

}  // namespace nsrelay
