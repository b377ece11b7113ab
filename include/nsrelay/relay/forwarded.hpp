#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/net/socket_address.hpp"
#include "nsrelay/net/socket_ends.hpp"
#include "nsrelay/relay/listener.hpp"
#include "nsrelay/relay/rule_runtime.hpp"
#include "nsrelay/telemetry/reason.hpp"

namespace nsrelay {

/// What can be told of something that is forwarded. It is a copy: what it tells of may be gone.
struct ForwardedStatus {
  std::shared_ptr<const ListenerInfo> listener;
  IpEndpoint client;
  std::string upstream;        ///< as in the log; empty while none is connected
  std::string upstream_netns;  ///< the name of the namespace that it is connected from
  TimePoint began;
  std::uint64_t bytes_received = 0;  ///< from the client
  std::uint64_t bytes_sent = 0;      ///< to the client
};

/// Something that is forwarded at present: a TCP connection, a UDP session, an SCTP association.
class Forwarded {
 public:
  Forwarded() = default;
  Forwarded(const Forwarded&) = delete;
  Forwarded& operator=(const Forwarded&) = delete;
  virtual ~Forwarded() = default;

  /// Ends it now, both sides abruptly, because data may be cut. Takes itself out of the table.
  virtual void end(Reason reason) = 0;

  [[nodiscard]] virtual const ListenerInfo& listener() const = 0;
  [[nodiscard]] virtual RuleRuntime& runtime() const = 0;
  /// The identity of the namespace that the upstream is connected from, or being connected from;
  /// 0 before that.
  [[nodiscard]] virtual std::uint64_t upstream_cookie() const = 0;
  [[nodiscard]] virtual ForwardedStatus status() const = 0;

  // What LoopGuard goes by.
  [[nodiscard]] virtual TimePoint began() const { return {}; }
  /// Who is connected to the listener, whatever a PROXY header says.
  [[nodiscard]] virtual IpEndpoint peer() const { return {}; }
  /// Where the upstream's socket is bound; nothing while there is none, or where it is no IP
  /// socket. Of several SCTP addresses it is any.
  [[nodiscard]] virtual std::optional<IpEndpoint> upstream_local() const { return std::nullopt; }
  /// Both ends of the client's socket, and of the upstream's.
  [[nodiscard]] virtual SocketEnds client_ends() const { return {}; }
  [[nodiscard]] virtual SocketEnds upstream_ends() const { return {}; }

 private:
  friend class ConnectionTable;

  std::uint32_t place_ = 0;
};

}  // namespace nsrelay
